"""The console: a small web application for marketing and for those on call. It reads, and changes nothing.

Personal data is shown here and nowhere else, to people who have signed in; every page that is read leaves a line in the log,
with keyed hashes of who read it and about whom. No page needs JavaScript, and none loads anything from elsewhere.

``app.py`` puts it together; ``access.py`` decides who may read; ``overview.py`` keeps the numbers of the first page;
``pages.py`` has the pages, ``templates`` their markup.
"""
