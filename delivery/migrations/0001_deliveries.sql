-- Deliveries, in SQL that SQLite and PostgreSQL both accept. Times are microseconds since the Unix epoch, UTC; lists are
-- JSON text; UUID is native in PostgreSQL and a 16-byte BLOB in SQLite. No personal data: see external_reference.
CREATE TABLE deliveries (
    delivery_id        UUID PRIMARY KEY NOT NULL,
    -- Both live in the Product service's database. No foreign key reaches there: the columns from verdict on say how
    -- they were checked.
    product_id         UUID NOT NULL,
    location_id        UUID NOT NULL,
    quantity           BIGINT NOT NULL,
    -- Ties the delivery to the order system. NULL: none.
    external_reference TEXT,
    -- Of the content above, as it was sent: a form in one byte, then a hash.
    fingerprint        BYTEA NOT NULL,
    state              TEXT NOT NULL,
    -- What Product said. NULL, all of them: nothing.
    verdict            TEXT,
    reason             TEXT,
    source             TEXT,
    revision           TEXT,
    check_time_us      BIGINT,
    -- [["rule id", version], …]
    deciding_rules     TEXT NOT NULL,
    -- Until when Product is asked: while PENDING, and kept when EXPIRED.
    verify_by_us       BIGINT,
    -- How fresh Product's answer must be. NULL: as it is.
    min_revision       TEXT,
    -- While PENDING: until when one verifier has it for itself. 0: nobody has.
    lease_until_us     BIGINT NOT NULL,
    version            BIGINT NOT NULL,
    create_time_us     BIGINT NOT NULL,
    update_time_us     BIGINT NOT NULL
);

-- One for each way that a listing can go, newest first; the one by state is also the verifier's queue, read from its
-- other end.
CREATE INDEX deliveries_by_time ON deliveries (create_time_us, delivery_id);
CREATE INDEX deliveries_by_state ON deliveries (state, create_time_us, delivery_id);
CREATE INDEX deliveries_by_product ON deliveries (product_id, create_time_us, delivery_id);
CREATE INDEX deliveries_by_location ON deliveries (location_id, create_time_us, delivery_id);
CREATE INDEX deliveries_by_reference ON deliveries (external_reference, create_time_us, delivery_id)
    WHERE external_reference IS NOT NULL;
