"""The chapters of report.html, a module each with its template beside it, in the order that they say. To add one: NAME_chapter.py
with a ReportChapter at its top, and a template where title, sentences and figures do not do. report_page.py finds it.
"""
