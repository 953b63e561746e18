import { expect, test, vi } from 'vitest'

import { folderWith, runCli } from './run-cli.test-parts.ts'

// Each test starts processes, which take their time on a busy machine.
vi.setConfig({ testTimeout: 30_000 })

const TEN_MISTAKES = `config:
  edition: 3
  timestamps_iso: true

streams:
  lists:
    auto_subscribe: yes
    query: SELECT id, user FROM lists WHERE owner = auth.userid()

  todos:
    priority: 5
    query: >-
      SELECT todos.id, todos.title
      FROM todos LEFT JOIN lists ON lists.id = todos.list
      WHERE listz.owner = auth.user_id()

  notes:
    queries:
      - SELECT id FROM notes WHERE created > auth.parameter('since')
      - "SELECT id, \\
        coalesce(title, 'Ünnamed') AS title FROM notes"
      - |
        SELECT id FROM notes
        WHERE title LIKE 'a%' AND public
`

const SAID = `sync-config.yaml:3:3 error Unknown key "timestamps_iso" in "config" (did you mean "timestamps_iso8601"?)
    timestamps_iso: true
    ^

sync-config.yaml:7:21 error "auto_subscribe" of stream "lists" must be true or false, got "yes": YAML 1.2 has no other words for true and false
      auto_subscribe: yes
                      ^

sync-config.yaml:8:23 error "user" is a reserved word of SQL: write it in quotes, "user", to name a column
      query: SELECT id, user FROM lists WHERE owner = auth.userid()
                        ^

sync-config.yaml:8:53 error Unknown function auth.userid() (did you mean "auth.user_id()"?)
      query: SELECT id, user FROM lists WHERE owner = auth.userid()
                                                      ^

sync-config.yaml:11:15 error "priority" of stream "todos" must be 0, 1, 2 or 3, got 5
      priority: 5
                ^

sync-config.yaml:14:18 error LEFT JOIN does not exist in sync configs: write JOIN; columns of the other table cannot be selected anyway; or set "extensions: true" in "config" (edition 3)
        FROM todos LEFT JOIN lists ON lists.id = todos.list
                   ^

sync-config.yaml:15:13 error Unknown table "listz" (did you mean "lists"?)
        WHERE listz.owner = auth.user_id()
              ^

sync-config.yaml:19:36 error Columns and values of the request cannot be mixed in one expression: they can only meet in one = other, each by itself, joined with AND and OR
        - SELECT id FROM notes WHERE created > auth.parameter('since')
                                     ^

sync-config.yaml:21:9 error Unknown function coalesce(): write ifnull(x, y), or set "extensions: true" in "config" (edition 3)
          coalesce(title, 'Ünnamed') AS title FROM notes"
          ^

sync-config.yaml:24:21 error LIKE does not exist in sync configs: keep a column that says what you want to filter by, or set "extensions: true" in "config" (edition 3)
          WHERE title LIKE 'a%' AND public
                      ^

✗ sync-config.yaml: 10 errors
The database was not looked at: name it with --database-url.
`

test('check reports ten mistakes of different kinds in one run, each at its place', async () => {
  await using folder = await folderWith({ 'sync-config.yaml': TEN_MISTAKES })
  const plain = await runCli(['check'], { cwd: folder.path })
  const json = await runCli(['check', '--json'], { cwd: folder.path })

  expect(plain).toEqual({ code: 1, stdout: SAID, stderr: '' })
  expect(json.code).toBe(1)
  const { config } = JSON.parse(json.stdout) as { readonly config: readonly unknown[] }
  expect(config).toHaveLength(10)
  expect(config[0]).toMatchObject({ severity: 'error', line: 3, column: 3 })
})

test('check of a config with warnings shows and counts them, and succeeds', async () => {
  const config = `config:
  edition: 3
streams:
  one:
    query: SELECT DISTINCT id FROM notes WHERE owner = auth.user_id()
  two:
    query: SELECT id FROM notes WHERE project = subscription.parameter('project')
`
  await using folder = await folderWith({ 'sync-config.yaml': config })
  const { code, stdout } = await runCli(['check'], { cwd: folder.path })
  expect(code).toBe(0)
  expect(stdout).toMatch(/^sync-config\.yaml:5:19 warning DISTINCT/)
  expect(stdout).toContain('\nsync-config.yaml:7:')
  expect(stdout).toContain('✓ sync-config.yaml: 1 table read, 2 warnings\n')
})

test('schema prints a JSON schema', async () => {
  const { code, stdout, stderr } = await runCli(['schema'])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(JSON.parse(stdout)).toMatchObject({ $schema: 'http://json-schema.org/draft-07/schema#', type: 'object' })
})

test('check takes the name of the file without the flag, too', async () => {
  await using folder = await folderWith({ 'mine.yaml': 'config: { edition: 3 }\nstreams: {}\n' })
  const { code, stdout } = await runCli(['check', 'mine.yaml'], { cwd: folder.path })
  expect(code).toBe(0)
  expect(stdout).toContain('✓ mine.yaml')
})
