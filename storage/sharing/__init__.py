"""What workers and replicas share beside the database: answers, joins, and the link to Redis."""
