"""The systems audit: what is wrong in the ERP's data, from the captured topics alone.

``gather.py`` reads the topics into a database in a temporary file, ``defects.py`` has the questions to it, ``findings.py`` asks
them, and ``page.py`` writes the report.
"""
