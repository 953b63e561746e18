import { column } from '../schema/column.ts'
import { Schema } from '../schema/schema.ts'
import { Table } from '../schema/table.ts'
import {
  bucketEntry,
  checkpointLine,
  completeLine,
  dataLine,
  diffLine,
  put,
  remove,
  ScriptedService,
} from '../sync/scripted-service.test-parts.ts'
import { HeadwaterDatabase } from './index.ts'

/** The app that gets killed: downloads round after round and writes of its own, and says what is committed. */
export const schema = new Schema({
  items: new Table({ round: column.integer }),
  mine: new Table({ n: column.integer }),
})

export const ROWS_PER_ROUND = 300

/** All rows of a round have its number, so a table with two numbers in it is a half-shown checkpoint. */
export function operationsOf(round: number) {
  const first = round * (ROWS_PER_ROUND + 1) + 1
  const rows = Array.from({ length: ROWS_PER_ROUND }, (_, index) => put(first + index, 'items', `i${index}`, { round }))
  return [...rows, remove(first + ROWS_PER_ROUND, 'items', 'none')]
}

if (import.meta.main) {
  const service = new ScriptedService()
  const db = new HeadwaterDatabase({
    schema,
    database: { dbFilename: 'app.db', dbLocation: process.argv[2] ?? '.' },
    fetch: service.fetch,
    logger: { log: () => {} },
  })
  let ownWrites = (await db.get<{ n: number }>('SELECT coalesce(max(n), 0) AS n FROM mine')).n
  void db.connect(
    {
      fetchCredentials: () => Promise.resolve({ endpoint: 'http://service.test', token: 't' }),
      uploadData: async () => {
        await (await db.getCrudBatch(1000))?.complete('1')
      },
    },
    { crudUploadThrottleMs: 0, retryDelayMs: 1 },
  )
  const stream = await service.stream(0)
  const [bucket] = stream.request['buckets'] as { after: string }[]
  const after = Number(bucket?.after ?? 0)
  const firstRound = Math.floor(after / (ROWS_PER_ROUND + 1))
  const history = Array.from({ length: firstRound }, (_, round) => operationsOf(round)).flat()
  for (let round = firstRound; ; round += 1) {
    const operations = operationsOf(round)
    history.push(...operations)
    const lastOpId = Number(operations.at(-1)?.op_id)
    const entries = [bucketEntry('b', history)]
    const more = { write_checkpoint: '1' }
    stream.send(round === firstRound ? checkpointLine(lastOpId, entries, more) : diffLine(lastOpId, entries, more))
    const missing = operations.filter(({ op_id }) => Number(op_id) > after)
    for (let at = 0; at < missing.length; at += 100) stream.send(dataLine('b', missing.slice(at, at + 100)))
    stream.send(completeLine(lastOpId))
    for (let write = 0; write < 3; write += 1) {
      ownWrites += 1
      await db.writeTransaction(async (transaction) => {
        await transaction.execute('INSERT INTO mine(id, n) VALUES (?, ?)', [`m${ownWrites}`, ownWrites])
      })
      process.stdout.write(`${ownWrites}\n`)
    }
  }
}
