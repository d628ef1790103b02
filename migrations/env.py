"""Alembic's environment: runs on the connection that `store/migrate.py` hands over, in its transaction."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
context.run_migrations()
