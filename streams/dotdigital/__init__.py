"""Dotdigital's REST API: the calls that we make, typed, with every failure told apart."""
