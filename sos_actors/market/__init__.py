"""What is traded and when: instruments, calendar, bars, columns of a day, charges."""
