-- SPDX-License-Identifier: Apache-2.0
-- What organisation.yaml reaches from the tenant :subject, written by hand: no
-- line of this was made by the project.
WITH RECURSIVE members AS (SELECT * FROM users WHERE tenant_id = :subject),
ids AS (SELECT id FROM members),
its_orders AS (SELECT tenant_id, id FROM orders
    WHERE user_id IN (SELECT id FROM ids) AND tenant_id = :subject),
its_lines AS (SELECT l.product_id, l.ctid FROM order_lines l
    JOIN its_orders o ON l.tenant_id = o.tenant_id AND l.order_id = o.id),
its_talks AS (SELECT id FROM conversations
    WHERE created_by IN (SELECT id FROM ids)),
its_messages AS (SELECT * FROM messages
    WHERE conversation_id IN (SELECT id FROM its_talks)),
its_reactions AS (SELECT ctid, user_id FROM message_reactions
    WHERE message_id IN (SELECT id FROM its_messages)),
its_tickets AS (SELECT * FROM tickets
    WHERE opened_by IN (SELECT id FROM ids)),
its_comments AS (SELECT ctid, author_id FROM ticket_comments
    WHERE ticket_id IN (SELECT id FROM its_tickets)),
its_folders AS (
    SELECT id FROM folders WHERE user_id IN (SELECT id FROM ids)
    UNION
    SELECT f.id FROM its_folders up JOIN folders f ON f.parent_id = up.id),
its_wallets AS (SELECT id, current_card_id FROM wallets
    WHERE user_id IN (SELECT id FROM ids)),
its_plans AS (SELECT id, last_task_id FROM plans
    WHERE user_id IN (SELECT id FROM ids)),
its_steps AS (SELECT id FROM steps
    WHERE plan_id IN (SELECT id FROM its_plans)),
its_devices AS (SELECT id FROM devices
    WHERE user_id IN (SELECT id FROM ids)),
-- Whoever is named: guests, who was written to, and who invited any of them.
named AS (
    SELECT user_id AS id FROM memberships WHERE tenant_id = :subject
    UNION SELECT invited_by FROM members
    UNION SELECT blocked_by FROM blocks WHERE user_id IN (SELECT id FROM ids)
    UNION SELECT resolved_by FROM its_tickets
    UNION SELECT author_id FROM its_comments
    UNION SELECT followed_id FROM follows
        WHERE follower_id IN (SELECT id FROM ids)
    UNION SELECT accepted_by FROM invitations
        WHERE sent_by IN (SELECT id FROM ids)
    UNION SELECT user_id FROM conversation_members
        WHERE conversation_id IN (SELECT id FROM its_talks)
    UNION SELECT sender_id FROM its_messages
    UNION SELECT user_id FROM its_reactions),
inviters AS (
    SELECT id FROM named WHERE id IS NOT NULL
    UNION
    SELECT u.invited_by FROM inviters i JOIN users u ON u.id = i.id
    WHERE u.invited_by IS NOT NULL),
others AS (SELECT ctid, tenant_id FROM users
    WHERE id IN (SELECT id FROM inviters) AND tenant_id <> :subject),
homes AS (SELECT ctid, city_id FROM addresses
    WHERE id IN (SELECT address_id FROM members)),
towns AS (SELECT ctid, country_code FROM cities
    WHERE id IN (SELECT city_id FROM homes)),
lands AS (SELECT ctid, region_id FROM countries
    WHERE code IN (SELECT country_code FROM towns)),
things AS (SELECT ctid, category_id FROM products
    WHERE id IN (SELECT product_id FROM its_lines)),
kinds AS (
    SELECT id, parent_id FROM categories
    WHERE id IN (SELECT category_id FROM things)
    UNION
    SELECT c.id, c.parent_id FROM kinds k
    JOIN categories c ON c.id = k.parent_id)
SELECT 'tenants'::regclass::oid, ctid, 'own' FROM tenants
    WHERE id = :subject
UNION ALL SELECT 'tenants'::regclass, ctid, 'lookup' FROM tenants
    WHERE id IN (SELECT tenant_id FROM others)
UNION ALL SELECT 'users'::regclass, ctid, 'own' FROM users
    WHERE tenant_id = :subject
UNION ALL SELECT 'users'::regclass, ctid, 'lookup' FROM others
UNION ALL SELECT 'memberships'::regclass, ctid, 'own' FROM memberships
    WHERE tenant_id = :subject
UNION ALL SELECT 'addresses'::regclass, ctid, 'own' FROM homes
UNION ALL SELECT 'cities'::regclass, ctid, 'lookup' FROM towns
UNION ALL SELECT 'countries'::regclass, ctid, 'lookup' FROM lands
UNION ALL SELECT 'regions'::regclass, ctid, 'lookup' FROM regions
    WHERE id IN (SELECT region_id FROM lands)
UNION ALL SELECT 'preferences'::regclass, ctid, 'own' FROM preferences
    WHERE user_id IN (SELECT id FROM ids)
UNION ALL SELECT 'profiles'::regclass, ctid, 'own' FROM profiles
    WHERE user_id IN (SELECT id FROM ids)
UNION ALL SELECT 'api_tokens'::regclass, ctid, 'own' FROM api_tokens
    WHERE user_id IN (SELECT id FROM ids)
UNION ALL SELECT 'uploads'::regclass, ctid, 'own' FROM uploads
    WHERE user_id IN (SELECT id FROM ids)
UNION ALL SELECT 'recommendations'::regclass, ctid, 'own'
    FROM recommendations WHERE user_id IN (SELECT id FROM ids)
UNION ALL SELECT 'log_lines'::regclass, ctid, 'own' FROM log_lines
    WHERE user_id IN (SELECT id FROM ids)
UNION ALL SELECT tableoid, ctid, 'own' FROM "Odd Schema"."Odd.Table ""x"""
    WHERE "Us""er.Id" IN (SELECT id FROM ids)
UNION ALL SELECT 'devices'::regclass, ctid, 'own' FROM devices
    WHERE user_id IN (SELECT id FROM ids)
UNION ALL SELECT 'device_pings'::regclass, ctid, 'own' FROM device_pings
    WHERE device_id IN (SELECT id FROM its_devices)
UNION ALL SELECT tableoid, ctid, 'own' FROM documents -- and contracts
    WHERE user_id IN (SELECT id FROM ids)
UNION ALL SELECT 'orders'::regclass, ctid, 'own' FROM orders
    WHERE (tenant_id, id) IN (SELECT tenant_id, id FROM its_orders)
UNION ALL SELECT 'order_lines'::regclass, ctid, 'own' FROM its_lines
UNION ALL SELECT tableoid, ctid, 'own' FROM payments
    WHERE (tenant_id, order_id) IN (SELECT tenant_id, id FROM its_orders)
UNION ALL SELECT 'products'::regclass, ctid, 'lookup' FROM things
UNION ALL SELECT 'categories'::regclass, ctid, 'lookup' FROM categories
    WHERE id IN (SELECT id FROM kinds)
UNION ALL SELECT 'invoices'::regclass, ctid, 'own' FROM invoices
    WHERE user_email IN (SELECT email FROM members)
UNION ALL SELECT 'blocks'::regclass, ctid, 'own' FROM blocks
    WHERE user_id IN (SELECT id FROM ids)
UNION ALL SELECT 'tickets'::regclass, ctid, 'own' FROM tickets
    WHERE opened_by IN (SELECT id FROM ids)
UNION ALL SELECT 'ticket_comments'::regclass, ctid, 'own' FROM its_comments
UNION ALL SELECT 'follows'::regclass, ctid, 'own' FROM follows
    WHERE follower_id IN (SELECT id FROM ids)
UNION ALL SELECT 'invitations'::regclass, ctid, 'own' FROM invitations
    WHERE sent_by IN (SELECT id FROM ids)
UNION ALL SELECT 'conversations'::regclass, ctid, 'own' FROM conversations
    WHERE id IN (SELECT id FROM its_talks)
UNION ALL SELECT 'conversation_members'::regclass, ctid, 'own'
    FROM conversation_members
    WHERE conversation_id IN (SELECT id FROM its_talks)
UNION ALL SELECT 'messages'::regclass, ctid, 'own' FROM messages
    WHERE id IN (SELECT id FROM its_messages)
UNION ALL SELECT 'message_reactions'::regclass, ctid, 'own'
    FROM its_reactions
UNION ALL SELECT 'attachments'::regclass, ctid, 'own' FROM attachments
    WHERE owner_type = 'User' AND owner_id IN (SELECT id FROM ids)
    OR owner_type = 'Message' AND owner_id IN (SELECT id FROM its_messages)
UNION ALL SELECT 'groups'::regclass, ctid, 'own' FROM groups
    WHERE member_uids && ARRAY(SELECT uid FROM members)
UNION ALL SELECT 'notes'::regclass, ctid, 'own' FROM notes
    WHERE user_ref IN (SELECT id::text FROM ids)
UNION ALL SELECT 'sessions'::regclass, ctid, 'own' FROM sessions
    WHERE user_id IN (SELECT id FROM ids)
UNION ALL SELECT tableoid, ctid, 'own' FROM visits
    WHERE user_id IN (SELECT id FROM ids)
UNION ALL SELECT tableoid, ctid, 'own' FROM events WHERE kind = 'user'
    AND payload->>'user_id' IN (SELECT id::text FROM ids)
UNION ALL SELECT 'wallets'::regclass, ctid, 'own' FROM wallets
    WHERE user_id IN (SELECT id FROM ids)
UNION ALL SELECT 'cards'::regclass, ctid, 'own' FROM cards
    WHERE wallet_id IN (SELECT id FROM its_wallets)
    OR id IN (SELECT current_card_id FROM its_wallets)
UNION ALL SELECT 'plans'::regclass, ctid, 'own' FROM plans
    WHERE user_id IN (SELECT id FROM ids)
UNION ALL SELECT 'steps'::regclass, ctid, 'own' FROM steps
    WHERE plan_id IN (SELECT id FROM its_plans)
UNION ALL SELECT 'tasks'::regclass, ctid, 'own' FROM tasks
    WHERE step_id IN (SELECT id FROM its_steps)
    OR id IN (SELECT last_task_id FROM its_plans)
UNION ALL SELECT 'folders'::regclass, ctid, 'own' FROM folders
    WHERE id IN (SELECT id FROM its_folders)
UNION ALL SELECT 'folder_files'::regclass, ctid, 'own' FROM folder_files
    WHERE folder_id IN (SELECT id FROM its_folders)
UNION ALL SELECT 'employees'::regclass, ctid, 'own' FROM employees
    WHERE user_id IN (SELECT id FROM ids)
UNION ALL SELECT 'teams'::regclass, ctid, 'lookup' FROM teams
    WHERE id IN (SELECT team_id FROM employees
        WHERE user_id IN (SELECT id FROM ids))
