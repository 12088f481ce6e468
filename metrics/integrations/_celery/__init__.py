"""Containers and instruments in the processes of a Celery worker."""
