"""The durable state of control: tables, migrations and the unit of work."""
