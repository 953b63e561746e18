/** Random writes in Postgres, behind the back of every device. */
import type { Random, TestDatabase } from '@headwater/testkit'
import { REGIONS, USERS } from './world.ts'

export type SourceWriter = {
  /** Does one thing, small or large, in one transaction. */
  readonly write: () => Promise<void>
  readonly addList: (owner: string) => Promise<string>
}

const WEIGHTS = {
  'add list': 4,
  'rename list': 4,
  'archive list': 3,
  'change owner': 2,
  'delete list': 1,
  'add member': 5,
  'remove member': 4,
  'move membership': 2,
  'add todos': 12,
  'change todos': 12,
  'change one column': 10,
  'move todos': 6,
  'delete todos': 6,
  'large notes': 6,
  'everything at once': 5,
  'hundreds of rows': 2,
  'roll back': 3,
  'add tag': 4,
  'rename tag': 4,
  'change tag key': 4,
  'swap tag keys': 2,
  'delete tag': 2,
  'truncate tags': 1,
  'truncate todos': 0.5,
  'move money': 20,
  'move account': 3,
  nothing: 2,
} as const

type WriteName = keyof typeof WEIGHTS

const FIRST_TITLES = 12
const NOTES_LENGTH_MAX = 20_000
const MANY_ROWS = 400
const MONEY_MAX = 1_000

export function createSourceWriter(database: TestDatabase, random: Random, note: (what: string) => void): SourceWriter {
  const { sql } = database
  let writes = 0
  const nextWriteId = (): string => `sql-${writes++}`
  const one = (table: string): string =>
    `(SELECT id FROM ${table} ORDER BY md5(id::text || '${random.integer(1e9)}') LIMIT 1)`
  const some = (table: string, rowsMax: number): string =>
    `(SELECT id FROM ${table} ORDER BY md5(id::text || '${random.integer(1e9)}') LIMIT ${random.between(1, rowsMax)})`

  const addList = async (owner: string): Promise<string> => {
    const id = random.uuid()
    // Beyond 2^53 now and then, where a double would round.
    const position = random.chance(0.2) ? `9007199254740${random.between(993, 999)}` : String(random.integer(100))
    await sql('INSERT INTO lists VALUES ($1, $2, $3, $4)', [id, owner, random.text(FIRST_TITLES), position])
    return id
  }

  const addTodos = async (rows: number, notesLength: number): Promise<void> => {
    await sql(
      `INSERT INTO todos
       SELECT md5($1 || '-' || n)::uuid, l.id, $2 || n, n % 2 = 0, n / 3.0, n * 4503599627370497, n * 1.1,
         timestamptz '2024-02-29 23:59:59.123456+01' + n * interval '1 hour', jsonb_build_object('n', n, 'ä', $2::text),
         CASE WHEN $3::int4 > 0 THEN repeat(md5($1 || '-' || n), $3::int4 / 32) END, $1 || '-' || n
       FROM ${one('lists')} AS l, generate_series(1, $4::int4) AS n`,
      [nextWriteId(), random.text(FIRST_TITLES), notesLength, rows],
    )
  }

  const inTransaction = async (work: () => Promise<void>, end: 'COMMIT' | 'ROLLBACK' = 'COMMIT'): Promise<void> => {
    await sql('BEGIN')
    try {
      await work()
    } catch (error) {
      await sql('ROLLBACK')
      throw error
    }
    await sql(end)
  }

  const moveMoney = async (): Promise<void> => {
    const amount = random.between(1, MONEY_MAX)
    await sql(
      `WITH pair AS (SELECT id, row_number() OVER () AS n FROM accounts ORDER BY md5(id || $1) LIMIT 2)
       UPDATE accounts SET balance = balance + CASE pair.n WHEN (SELECT min(n) FROM pair) THEN $2::int4 ELSE -$2::int4 END
       FROM pair WHERE pair.id = accounts.id`,
      [String(random.integer(1e9)), amount],
    )
  }

  const actions: Readonly<Record<WriteName, () => Promise<unknown>>> = {
    'add list': () => addList(random.pick(USERS)),
    'rename list': () => sql(`UPDATE lists SET name = $1 WHERE id = ${one('lists')}`, [random.text(FIRST_TITLES)]),
    'archive list': () => sql(`UPDATE lists SET archived = NOT archived WHERE id = ${one('lists')}`),
    'change owner': () => sql(`UPDATE lists SET owner_id = $1 WHERE id = ${one('lists')}`, [random.pick(USERS)]),
    'delete list': () => sql(`DELETE FROM lists WHERE id = ${one('lists')} AND (SELECT count(*) FROM lists) > 3`),
    'add member': () =>
      sql(`INSERT INTO memberships SELECT $1::uuid, id, $2 FROM ${one('lists')} AS l`, [
        random.uuid(),
        random.pick(USERS),
      ]),
    'remove member': () => sql(`DELETE FROM memberships WHERE id IN ${some('memberships', 2)}`),
    'move membership': () =>
      sql(`UPDATE memberships SET user_id = $1, list_id = ${one('lists')} WHERE id = ${one('memberships')}`, [
        random.pick(USERS),
      ]),
    'add todos': () => addTodos(random.between(1, 8), 0),
    'change todos': () =>
      sql(
        `UPDATE todos SET title = $1, done = NOT done, weight = weight * 1.5, position = position - 1, price = NULL,
           due = due + interval '1 microsecond', write_id = $2 || id
         WHERE id IN ${some('todos', 6)}`,
        [random.text(FIRST_TITLES), nextWriteId()],
      ),
    // Leaves a large value where it is, so that the log does not carry it.
    'change one column': () =>
      sql(`UPDATE todos SET done = NOT done, write_id = $1 || id WHERE id IN ${some('todos', 3)}`, [nextWriteId()]),
    'move todos': () =>
      sql(`UPDATE todos SET list_id = ${one('lists')}, write_id = $1 || id WHERE id IN ${some('todos', 5)}`, [
        nextWriteId(),
      ]),
    'delete todos': () => sql(`DELETE FROM todos WHERE id IN ${some('todos', 4)}`),
    'large notes': () => addTodos(random.between(1, 2), random.between(3_000, NOTES_LENGTH_MAX)),
    'everything at once': () =>
      inTransaction(async () => {
        await addList(random.pick(USERS))
        for (let count = random.between(2, 6); count > 0; count--) {
          await random.pick([
            actions['add todos'],
            actions['move todos'],
            actions['change todos'],
            actions['add member'],
          ])()
        }
        await actions[random.pick(['move money', 'rename list', 'delete todos', 'change owner'] as const)]()
      }),
    'hundreds of rows': () => addTodos(MANY_ROWS, random.chance(0.3) ? 3_000 : 0),
    'roll back': () =>
      inTransaction(async () => {
        await addTodos(5, 0)
        await sql('UPDATE accounts SET balance = balance + 1')
      }, 'ROLLBACK'),
    'add tag': () => sql('INSERT INTO tags VALUES ($1, $2) ON CONFLICT DO NOTHING', [random.text(3), random.text(8)]),
    'rename tag': () => sql(`UPDATE tags SET label = $1`, [random.text(8)]),
    'change tag key': () =>
      sql(
        `UPDATE tags SET code = $1
         WHERE code = (SELECT min(code) FROM tags) AND NOT EXISTS (SELECT FROM tags WHERE code = $1)`,
        [random.text(4)],
      ),
    'swap tag keys': () =>
      inTransaction(async () => {
        await sql(`UPDATE tags SET code = '~~' WHERE code = (SELECT min(code) FROM tags WHERE code <> '~~')`)
        await sql(`UPDATE tags SET code = code || 'x' WHERE code = (SELECT min(code) FROM tags WHERE code <> '~~')`)
        await sql(`UPDATE tags SET code = $1 WHERE code = '~~'`, [random.uuid()])
      }),
    'delete tag': () => sql('DELETE FROM tags WHERE code = (SELECT max(code) FROM tags)'),
    'truncate tags': () => sql('TRUNCATE tags'),
    'truncate todos': () => sql('TRUNCATE todos'),
    'move money': moveMoney,
    'move account': () => sql(`UPDATE accounts SET region = $1 WHERE id = ${one('accounts')}`, [random.pick(REGIONS)]),
    nothing: () => sql('SELECT 1'),
  }

  return {
    addList,
    write: async () => {
      const name = random.weighted(WEIGHTS)
      note(`source: ${name}`)
      await actions[name]()
    },
  }
}
