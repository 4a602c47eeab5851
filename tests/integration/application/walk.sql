-- SPDX-License-Identifier: Apache-2.0
-- What map.yaml reaches from the user :subject, written by hand: no line of
-- this was made by the project.
WITH RECURSIVE me AS (SELECT * FROM users WHERE id = :subject),
own_orders AS (SELECT o.* FROM orders o JOIN me
    ON (o.tenant_id, o.user_id) = (me.tenant_id, me.id)),
own_lines AS (SELECT l.* FROM order_lines l
    JOIN own_orders o ON (l.tenant_id, l.order_id) = (o.tenant_id, o.id)),
own_members AS (SELECT * FROM memberships WHERE user_id = :subject),
own_wallets AS (SELECT * FROM wallets WHERE user_id = :subject),
own_plans AS (SELECT * FROM plans WHERE user_id = :subject),
own_steps AS (SELECT * FROM steps
    WHERE plan_id IN (SELECT id FROM own_plans)),
own_folders AS (
    SELECT id FROM folders WHERE user_id = :subject
    UNION
    SELECT f.id FROM folders f JOIN own_folders o ON f.parent_id = o.id),
own_devices AS (SELECT * FROM devices WHERE user_id = :subject),
own_tickets AS (SELECT * FROM tickets WHERE opened_by = :subject),
talks AS (
    SELECT id FROM conversations WHERE created_by = :subject
    UNION
    SELECT conversation_id FROM conversation_members
    WHERE user_id = :subject),
known_messages AS (
    SELECT ctid, id, CASE WHEN sender_id = :subject THEN 'own'
        ELSE 'shared' END AS decided
    FROM messages WHERE sender_id = :subject
    OR conversation_id IN (SELECT id FROM talks)),
things AS (
    SELECT ctid, id, category_id FROM products
    WHERE id IN (SELECT product_id FROM own_lines)),
kinds AS (
    SELECT id, parent_id FROM categories
    WHERE id IN (SELECT category_id FROM things)
    UNION
    SELECT c.id, c.parent_id FROM categories c
    JOIN kinds k ON c.id = k.parent_id),
homes AS (
    SELECT ctid, city_id FROM addresses
    WHERE id IN (SELECT address_id FROM me)),
towns AS (
    SELECT ctid, country_code FROM cities
    WHERE id IN (SELECT city_id FROM homes)),
lands AS (
    SELECT ctid, region_id FROM countries
    WHERE code IN (SELECT country_code FROM towns))
SELECT 'users'::regclass::oid, ctid, 'own' FROM users WHERE id = :subject
UNION ALL SELECT 'addresses'::regclass, ctid, 'own' FROM homes
UNION ALL SELECT 'memberships'::regclass, ctid, 'own' FROM memberships
    WHERE user_id = :subject
UNION ALL SELECT 'preferences'::regclass, ctid, 'own' FROM preferences
    WHERE user_id = :subject
UNION ALL SELECT 'profiles'::regclass, ctid, 'own' FROM profiles
    WHERE user_id = :subject
UNION ALL SELECT 'api_tokens'::regclass, ctid, 'own' FROM api_tokens
    WHERE user_id = :subject
UNION ALL SELECT 'uploads'::regclass, ctid, 'own' FROM uploads
    WHERE user_id = :subject
UNION ALL SELECT 'recommendations'::regclass, ctid, 'own'
    FROM recommendations WHERE user_id = :subject
UNION ALL SELECT 'log_lines'::regclass, ctid, 'own' FROM log_lines
    WHERE user_id = :subject
UNION ALL SELECT tableoid, ctid, 'own' FROM "Odd Schema"."Odd.Table ""x"""
    WHERE "Us""er.Id" = :subject
UNION ALL SELECT 'devices'::regclass, ctid, 'own' FROM devices
    WHERE user_id = :subject
UNION ALL SELECT 'device_pings'::regclass, ctid, 'own' FROM device_pings
    WHERE device_id IN (SELECT id FROM own_devices)
UNION ALL SELECT tableoid, ctid, 'own' FROM documents -- and contracts
    WHERE user_id = :subject
UNION ALL SELECT 'orders'::regclass, o.ctid, 'own' FROM orders o
    WHERE (tenant_id, id) IN (SELECT tenant_id, id FROM own_orders)
UNION ALL SELECT 'order_lines'::regclass, ctid, 'own' FROM order_lines
    WHERE (tenant_id, order_id) IN (SELECT tenant_id, id FROM own_orders)
UNION ALL SELECT tableoid, ctid, 'own' FROM payments
    WHERE (tenant_id, order_id) IN (SELECT tenant_id, id FROM own_orders)
UNION ALL SELECT 'invoices'::regclass, ctid, 'own' FROM invoices
    WHERE user_email IN (SELECT email FROM me)
UNION ALL SELECT 'blocks'::regclass, ctid, CASE WHEN user_id = :subject
    THEN 'own' ELSE 'actor' END FROM blocks
    WHERE user_id = :subject OR blocked_by = :subject
UNION ALL SELECT 'tickets'::regclass, ctid, CASE WHEN opened_by = :subject
    THEN 'own' ELSE 'actor' END FROM tickets
    WHERE opened_by = :subject OR resolved_by = :subject
UNION ALL SELECT 'ticket_comments'::regclass, ctid,
    CASE WHEN author_id = :subject THEN 'own' ELSE 'shared' END
    FROM ticket_comments WHERE author_id = :subject
    OR ticket_id IN (SELECT id FROM own_tickets)
UNION ALL SELECT 'follows'::regclass, ctid, 'own' FROM follows
    WHERE follower_id = :subject
UNION ALL SELECT 'invitations'::regclass, ctid, 'own' FROM invitations
    WHERE sent_by = :subject OR accepted_by = :subject
UNION ALL SELECT 'conversations'::regclass, ctid, 'shared'
    FROM conversations WHERE id IN (SELECT id FROM talks)
UNION ALL SELECT 'conversation_members'::regclass, ctid, 'own'
    FROM conversation_members WHERE user_id = :subject
UNION ALL SELECT 'messages'::regclass, ctid, decided FROM known_messages
UNION ALL SELECT 'message_reactions'::regclass, ctid,
    CASE WHEN user_id = :subject THEN 'own' ELSE 'shared' END
    FROM message_reactions WHERE user_id = :subject
    OR message_id IN (SELECT id FROM known_messages)
UNION ALL SELECT 'attachments'::regclass, ctid, 'own' FROM attachments
    WHERE owner_type = 'User' AND owner_id = :subject
UNION ALL SELECT 'attachments'::regclass, ctid, 'shared' FROM attachments
    WHERE owner_type = 'Message'
    AND owner_id IN (SELECT id FROM known_messages)
UNION ALL SELECT 'groups'::regclass, g.ctid, 'shared' FROM groups g, me
    WHERE me.uid = ANY (g.member_uids)
UNION ALL SELECT 'notes'::regclass, ctid, 'own' FROM notes
    WHERE user_ref = :subject::text
UNION ALL SELECT 'sessions'::regclass, ctid, 'own' FROM sessions
    WHERE user_id = :subject
UNION ALL SELECT tableoid, ctid, 'own' FROM visits WHERE user_id = :subject
UNION ALL SELECT tableoid, ctid, 'own' FROM events
    WHERE kind = 'user' AND payload->>'user_id' = :subject::text
UNION ALL SELECT 'wallets'::regclass, ctid, 'own' FROM wallets
    WHERE user_id = :subject
UNION ALL SELECT 'cards'::regclass, ctid, 'own' FROM cards
    WHERE wallet_id IN (SELECT id FROM own_wallets)
    OR id IN (SELECT current_card_id FROM own_wallets)
UNION ALL SELECT 'plans'::regclass, ctid, 'own' FROM plans
    WHERE user_id = :subject
UNION ALL SELECT 'steps'::regclass, ctid, 'own' FROM steps
    WHERE plan_id IN (SELECT id FROM own_plans)
UNION ALL SELECT 'tasks'::regclass, ctid, 'own' FROM tasks
    WHERE step_id IN (SELECT id FROM own_steps)
    OR id IN (SELECT last_task_id FROM own_plans)
UNION ALL SELECT 'folders'::regclass, ctid, 'own' FROM folders
    WHERE id IN (SELECT id FROM own_folders)
UNION ALL SELECT 'folder_files'::regclass, ctid, 'own' FROM folder_files
    WHERE folder_id IN (SELECT id FROM own_folders)
UNION ALL SELECT 'employees'::regclass, ctid, 'own' FROM employees
    WHERE user_id = :subject
UNION ALL SELECT 'teams'::regclass, ctid, 'lookup' FROM teams
    WHERE id IN (SELECT team_id FROM employees WHERE user_id = :subject)
UNION ALL SELECT 'tenants'::regclass, ctid, 'lookup' FROM tenants
    WHERE id IN (SELECT tenant_id FROM me
        UNION SELECT tenant_id FROM own_members)
UNION ALL SELECT 'products'::regclass, ctid, 'lookup' FROM things
UNION ALL SELECT 'categories'::regclass, ctid, 'lookup' FROM categories
    WHERE id IN (SELECT id FROM kinds)
UNION ALL SELECT 'cities'::regclass, ctid, 'lookup' FROM towns
UNION ALL SELECT 'countries'::regclass, ctid, 'lookup' FROM lands
UNION ALL SELECT 'regions'::regclass, ctid, 'lookup' FROM regions
    WHERE id IN (SELECT region_id FROM lands)
