-- In which trace a PENDING delivery was created, if that is sampled: its verification belongs to the same one. NULL: none.
-- Nothing that is there changes, and the release before this one goes on writing and reading rows without it.
ALTER TABLE deliveries ADD COLUMN traceparent TEXT;
