"""Orderwise to Dotdigital, change by change."""
