"""The report: one HTML page that needs no network and no server, a module and its templates for each section."""
