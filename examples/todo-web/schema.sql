-- The tables of the app, in the app's own Postgres. Headwater reads them through the publication at the end.

CREATE TABLE lists (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  name text NOT NULL,
  owner_id text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);

-- Who sees a list. Its owner has a row here too, so one question answers for everybody.
CREATE TABLE list_members (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  list_id uuid NOT NULL REFERENCES lists (id) ON DELETE CASCADE,
  user_id text NOT NULL,
  UNIQUE (list_id, user_id)
);

CREATE TABLE todos (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  list_id uuid NOT NULL REFERENCES lists (id) ON DELETE CASCADE,
  description text NOT NULL,
  completed boolean NOT NULL DEFAULT false,
  created_by text,
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX todos_by_list ON todos (list_id);

CREATE PUBLICATION headwater FOR TABLE lists, list_members, todos;

-- Something to look at on the first start.
INSERT INTO lists (id, name, owner_id, created_at) VALUES
  ('0a1e5a10-0000-4000-8000-000000000001', 'Weekend at the lake', 'ann', now() - interval '9 days'),
  ('0a1e5a10-0000-4000-8000-000000000002', 'Groceries', 'bob', now() - interval '8 days'),
  ('0a1e5a10-0000-4000-8000-000000000003', 'Ann’s reading', 'ann', now() - interval '7 days'),
  ('0a1e5a10-0000-4000-8000-000000000004', 'Workshop', 'bob', now() - interval '7 days');

INSERT INTO list_members (list_id, user_id) VALUES
  ('0a1e5a10-0000-4000-8000-000000000001', 'ann'),
  ('0a1e5a10-0000-4000-8000-000000000001', 'bob'),
  ('0a1e5a10-0000-4000-8000-000000000002', 'bob'),
  ('0a1e5a10-0000-4000-8000-000000000002', 'ann'),
  ('0a1e5a10-0000-4000-8000-000000000003', 'ann'),
  ('0a1e5a10-0000-4000-8000-000000000004', 'bob');

INSERT INTO todos (list_id, description, completed, created_by, created_at) VALUES
  ('0a1e5a10-0000-4000-8000-000000000001', 'Book the cabin by the boathouse', true, 'ann', now() - interval '6 days'),
  ('0a1e5a10-0000-4000-8000-000000000001', 'Check the canoe for leaks', false, 'bob', now() - interval '5 days'),
  ('0a1e5a10-0000-4000-8000-000000000001', 'Print the trail map, there is no signal', false, 'ann', now() - interval '4 days'),
  ('0a1e5a10-0000-4000-8000-000000000001', 'Borrow two more life jackets', false, 'bob', now() - interval '3 days'),
  ('0a1e5a10-0000-4000-8000-000000000001', 'Ask Mira whether she can come', true, 'bob', now() - interval '2 days'),
  ('0a1e5a10-0000-4000-8000-000000000002', 'Coffee, the good one', false, 'bob', now() - interval '50 hours'),
  ('0a1e5a10-0000-4000-8000-000000000002', 'Rye bread', false, 'ann', now() - interval '49 hours'),
  ('0a1e5a10-0000-4000-8000-000000000002', 'Lemons', true, 'ann', now() - interval '48 hours'),
  ('0a1e5a10-0000-4000-8000-000000000003', 'The Living Mountain', false, 'ann', now() - interval '47 hours'),
  ('0a1e5a10-0000-4000-8000-000000000003', 'A Field Guide to Getting Lost', true, 'ann', now() - interval '46 hours'),
  ('0a1e5a10-0000-4000-8000-000000000004', 'Sharpen the plane iron', false, 'bob', now() - interval '45 hours'),
  ('0a1e5a10-0000-4000-8000-000000000004', 'Sand the table top', false, 'bob', now() - interval '44 hours');
