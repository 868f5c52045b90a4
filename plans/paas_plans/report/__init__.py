"""A plan as a page: one file for a browser, in place of a web server, an upload and an archive of pages."""

from paas_plans.report.page import page as page
