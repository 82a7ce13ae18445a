"""The API's routes, one module for each subject.

Imports the dashboard's own modules and what is below them.
"""
