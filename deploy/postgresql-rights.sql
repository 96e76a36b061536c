-- Lets a role serve a centre: it may write everything, but never change or delete what is append-only.
-- The owner of the tables runs it, once and after every upgrade:
--
--     CREATE ROLE tallypoint_service LOGIN PASSWORD '...';
--     psql -v ON_ERROR_STOP=1 -v role=tallypoint_service -f deploy/postgresql-rights.sql DATABASE
--
-- `tallypoint central rights tallypoint_service` does the same. database_url then names this role.

GRANT USAGE ON SCHEMA public TO :"role";
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM :"role";
GRANT SELECT ON "alembic_version" TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON "account" TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON "alert" TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON "approval" TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON "audit" TO :"role";
GRANT SELECT, INSERT ON "batch" TO :"role";
GRANT SELECT, INSERT ON "block" TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON "card" TO :"role";
GRANT SELECT, INSERT ON "cash_entry" TO :"role";
GRANT SELECT, INSERT ON "centre_event" TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON "centre_key" TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON "certificate" TO :"role";
GRANT SELECT, INSERT ON "certificate_move" TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON "changed" TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON "chore_run" TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON "chunk" TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON "claim" TO :"role";
GRANT SELECT, INSERT ON "consent" TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON "console_session" TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON "console_user" TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON "correction" TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON "debt" TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON "enrolment" TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON "event" TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON "flag" TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON "found_by" TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON "hotlist" TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON "lane" TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON "lane_mark" TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON "lease" TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON "lease_holder" TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON "lease_slice" TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON "lot" TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON "member" TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON "member_page" TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON "notice" TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON "number_next" TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON "number_span" TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON "opening_rows" TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON "partner" TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON "payment" TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON "period" TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON "period_range" TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON "person" TO :"role";
GRANT SELECT, INSERT ON "posting" TO :"role";
GRANT SELECT, INSERT ON "price_delta" TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON "programme" TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON "quarantine" TO :"role";
GRANT SELECT, INSERT ON "quarantine_outcome" TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON "receipt_claim" TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON "release" TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON "reversed" TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON "sealed" TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON "setting" TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON "shared_use" TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON "slot" TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON "snapshot_head" TO :"role";
GRANT SELECT, INSERT ON "statement" TO :"role";
GRANT SELECT, INSERT ON "statement_line" TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON "store" TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON "store_partner" TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON "stream" TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON "terms" TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON "till" TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON "till_grant" TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON "till_key" TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON "use" TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON "waiting" TO :"role";
