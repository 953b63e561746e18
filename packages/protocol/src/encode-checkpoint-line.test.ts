import { expect, test } from 'vitest'
import { toChecksum } from './checksum.ts'
import { decodeBsonLine, decodeLine } from './decode-line.ts'
import { type CheckpointLine, encodeCheckpointLine } from './encode-checkpoint-line.ts'
import { encodeLine } from './encode-line.ts'
import type { BucketEntry } from './line.ts'
import { toOpId } from './op-id.ts'
import { toBucketName } from './operation.ts'

const ENTRIES = Array.from({ length: 3_001 }, (_, n): BucketEntry => ({
  bucket: toBucketName(`lists|1.0a["ann\u2028","${n}"]`),
  checksum: toChecksum(n * 1_000_003),
  count: n,
  priority: n % 4,
  subscriptions: n % 3 === 0 ? [{ kind: 'default', stream: 0 }] : [{ kind: 'subscription', subscription: n }],
}))

const LINES: readonly CheckpointLine[] = [0, 1, 250, 251, 3_001].flatMap((count): CheckpointLine[] => {
  const entries = ENTRIES.slice(0, count)
  const streams = [{ name: 'lists', isDefault: true, errors: [{ subscription: 3, message: 'no' }] }]
  const removedBuckets = entries.map(({ bucket }) => bucket)
  return [
    { kind: 'checkpoint', checkpoint: { lastOpId: toOpId(7n), writeCheckpoint: 9n, buckets: entries, streams } },
    {
      kind: 'checkpoint-diff',
      diff: { lastOpId: toOpId(7n), writeCheckpoint: undefined, removedBuckets, updatedBuckets: entries },
    },
  ]
})

test.each(LINES)('a line that names very many buckets says in steps what it says at once', (line) => {
  const json = inSteps(line, 'ndjson')
  expect(new TextDecoder().decode(json.bytes)).toBe(new TextDecoder().decode(encodeLine(line, 'ndjson')))
  expect(decodeLine(new TextDecoder().decode(json.bytes))).toEqual(line)
  const bson = inSteps(line, 'bson')
  expect(decodeBsonLine(bson.bytes)).toEqual(line)
  const { length } = line.kind === 'checkpoint' ? line.checkpoint.buckets : line.diff.updatedBuckets
  expect(bson.steps).toBe(json.steps)
  expect(json.steps).toBeGreaterThanOrEqual(Math.ceil(length / 250))
})

function inSteps(line: CheckpointLine, format: 'ndjson' | 'bson') {
  const encoding = encodeCheckpointLine(line, format)
  let steps = 1
  let step = encoding.next()
  for (; step.done !== true; steps++) step = encoding.next()
  return { steps, bytes: Buffer.concat(step.value) }
}
