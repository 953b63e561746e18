import type {
  BucketEntry,
  BucketName,
  BucketReason,
  Checksum,
  ControlLine,
  OpId,
  StreamEntry,
} from '@headwater/protocol'

/** What a client was told, and what it still has to get. */
export type Announced = {
  /** Undefined before the first checkpoint line. */
  readonly entries: AnnouncedEntries | undefined
  readonly streams: readonly StreamEntry[]
  readonly writeCheckpoint: bigint | undefined
  /** Buckets that were announced and not sent to their end. */
  readonly unfinished: ReadonlySet<BucketName>
  /** The checkpoint that was announced last cannot be completed: another must follow, even if nothing else changed. */
  readonly isSuperseded: boolean
}

type AnnouncedEntries = Pick<ReadonlyMap<BucketName, BucketEntry>, 'get' | 'keys'>

/** The state of the source to bring a client to. */
export type Update = {
  readonly checkpoint: OpId
  readonly writeCheckpoint: bigint | undefined
  readonly change:
    | { readonly kind: 'all'; readonly entries: readonly BucketEntry[]; readonly streams: readonly StreamEntry[] }
    /** The set of buckets is the same; only these may have changed. */
    | { readonly kind: 'touched'; readonly sums: readonly BucketTotal[] }
}

export type BucketTotal = { readonly bucket: BucketName; readonly checksum: Checksum; readonly count: number }

export type SendPlan = {
  readonly line: ControlLine
  readonly updated: readonly BucketEntry[]
  readonly removed: readonly BucketName[]
  /** What to send, most urgent first. */
  readonly groups: readonly FetchGroup[]
}

export type FetchGroup = { readonly priority: number; readonly buckets: readonly BucketName[] }

/** What to send to bring a client from what it was told to a newer state; undefined when it would learn nothing. */
export function planSend(announced: Announced, update: Update): SendPlan | undefined {
  const { entries } = announced
  if (entries === undefined) return planFirst(update)
  const { updated, removed } = compare(entries, update)
  const { change, checkpoint, writeCheckpoint } = update
  const streamsChanged = change.kind === 'all' && !areEqual(change.streams, announced.streams)
  const isWorthALine =
    updated.length > 0 ||
    removed.length > 0 ||
    streamsChanged ||
    announced.isSuperseded ||
    writeCheckpoint !== announced.writeCheckpoint
  if (!isWorthALine) return undefined

  const line: ControlLine = streamsChanged
    ? {
        kind: 'checkpoint',
        checkpoint: { lastOpId: checkpoint, writeCheckpoint, buckets: change.entries, streams: change.streams },
      }
    : {
        kind: 'checkpoint-diff',
        diff: { lastOpId: checkpoint, writeCheckpoint, updatedBuckets: updated, removedBuckets: removed },
      }
  const gone = new Set(removed)
  const fetch = new Map(updated.map((entry) => [entry.bucket, entry]))
  for (const bucket of announced.unfinished) {
    const entry = fetch.get(bucket) ?? entries.get(bucket)
    if (entry !== undefined && !gone.has(bucket)) fetch.set(bucket, entry)
  }
  return { line, updated, removed, groups: groupByPriority([...fetch.values()]) }
}

function planFirst({ checkpoint, writeCheckpoint, change }: Update): SendPlan {
  const { entries, streams } = change.kind === 'all' ? change : NO_BUCKETS
  return {
    line: { kind: 'checkpoint', checkpoint: { lastOpId: checkpoint, writeCheckpoint, buckets: entries, streams } },
    updated: entries,
    removed: [],
    groups: groupByPriority(entries),
  }
}

const NO_BUCKETS = { entries: [], streams: [] }

function compare(
  announced: AnnouncedEntries,
  { change }: Update,
): { readonly updated: BucketEntry[]; readonly removed: BucketName[] } {
  const updated: BucketEntry[] = []
  if (change.kind === 'touched') {
    for (const { bucket, checksum, count } of change.sums) {
      const known = announced.get(bucket)
      if (known === undefined || (known.checksum === checksum && known.count === count)) continue
      updated.push({ ...known, checksum, count })
    }
    return { updated, removed: [] }
  }
  const present = new Set<BucketName>()
  for (const entry of change.entries) {
    present.add(entry.bucket)
    const known = announced.get(entry.bucket)
    if (known === undefined || !isSameEntry(known, entry)) updated.push(entry)
  }
  const removed = [...announced.keys()].filter((bucket) => !present.has(bucket))
  return { updated, removed }
}

/** Do two entries say the same? */
export function isSameEntry(a: BucketEntry, b: BucketEntry): boolean {
  return (
    a.checksum === b.checksum &&
    a.count === b.count &&
    a.priority === b.priority &&
    a.subscriptions.length === b.subscriptions.length &&
    a.subscriptions.every((reason, n) => isSameReason(reason, b.subscriptions[n]))
  )
}

function isSameReason(a: BucketReason, b: BucketReason | undefined): boolean {
  return a.kind === 'default'
    ? b?.kind === 'default' && a.stream === b.stream
    : b?.kind === 'subscription' && a.subscription === b.subscription
}

function areEqual(a: readonly StreamEntry[], b: readonly StreamEntry[]): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b)
}

function groupByPriority(entries: readonly BucketEntry[]): FetchGroup[] {
  const groups = new Map<number, BucketName[]>()
  for (const { bucket, priority } of entries) {
    const group = groups.get(priority)
    if (group === undefined) groups.set(priority, [bucket])
    else group.push(bucket)
  }
  return [...groups]
    .map(([priority, buckets]) => ({ priority, buckets: buckets.sort() }))
    .sort((a, b) => a.priority - b.priority)
}
