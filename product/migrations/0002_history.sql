-- Who changed what, and what each rule said before. Only new tables: a Product of the release before goes on working. What it
-- writes has no row in revisions, so that nobody is named for what another did, and a rule's version that it overwrites is lost.

-- One row for each write, which is one revision. Objects name theirs, so this says of each who made it what it is.
CREATE TABLE revisions (
    revision      BIGINT PRIMARY KEY NOT NULL,
    changed_at_us BIGINT NOT NULL,
    -- The identity in the caller's certificate. NULL: callers need not say who they are.
    changed_by    TEXT
);

-- The versions of rules that are no more; the present ones are in rules. The columns are those of rules. No foreign keys: what
-- was written then held then.
CREATE TABLE rule_history (
    rule_id         UUID NOT NULL,
    version         BIGINT NOT NULL,
    effect          TEXT NOT NULL,
    product_id      UUID,
    product_class   TEXT,
    location_id     UUID,
    zone            TEXT,
    selectors       TEXT NOT NULL,
    max_weight_g    BIGINT,
    max_side_mm     BIGINT,
    max_quantity    BIGINT,
    valid_from_us   BIGINT,
    valid_until_us  BIGINT,
    note            TEXT NOT NULL,
    deleted         BOOLEAN NOT NULL,
    revision        BIGINT NOT NULL,
    PRIMARY KEY (rule_id, version)
);
