import { openSqliteStorage } from './sqlite-storage.ts'
import { EAGER, NEVER, transactionAt } from './random-deltas.contract.ts'
import { origin } from '../example-data.contract.ts'

/** A process to be killed: appends transactions for ever, and prints each position once it is durable. */
const [path = '', seed = '0', isEager = 'false'] = process.argv.slice(2)
const defragmentation = isEager === 'true' ? EAGER : NEVER
const storage = await openSqliteStorage({ path, log: { warn: () => {} }, defragmentation })
const point = await storage.readResume()
if (point === undefined) await storage.startGeneration(origin())
for (let position = Number(point?.resume ?? 0) + 1; ; position++) {
  for (const delta of transactionAt(Number(seed), position)) await storage.append(delta)
  process.stdout.write(`${position}\n`)
  // Lets the packer have its turns, and compaction.
  if (position % 3 === 0) await new Promise(setImmediate)
  if (position % 5 === 0) void storage.compact()
}
