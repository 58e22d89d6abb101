"""What was asked and answered, in SQL, with a journal before it and a twin in memory."""
