"""The store on PostgreSQL, which several processes share: imported where a configuration wants it."""
