import type {
  BucketEntry,
  BucketName,
  BucketReason,
  Checkpoint,
  Checksum,
  CheckpointLine,
  LimitFigures,
  OpId,
  StreamEntry,
} from '@headwater/protocol'
import type { Turn } from '@headwater/sync-config'

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

type AnnouncedEntries = Pick<ReadonlyMap<BucketName, BucketEntry>, 'get' | 'keys' | 'size'>

/** The state of the source to bring a client to. */
export type Update = {
  readonly checkpoint: OpId
  readonly writeCheckpoint: bigint | undefined
  readonly change:
    | WholeChange
    /** The set of buckets is the same; only these may have changed. */
    | { readonly kind: 'touched'; readonly sums: readonly BucketTotal[] }
}

type WholeChange = {
  readonly kind: 'all'
  readonly entries: readonly BucketEntry[]
  readonly streams: readonly StreamEntry[]
  readonly limits: LimitFigures
}

export type BucketTotal = { readonly bucket: BucketName; readonly checksum: Checksum; readonly count: number }

export type SendPlan = {
  readonly line: CheckpointLine
  readonly updated: readonly BucketEntry[]
  readonly removed: readonly BucketName[]
  /** What to send, most urgent first. */
  readonly groups: readonly FetchGroup[]
}

export type FetchGroup = { readonly priority: number; readonly buckets: readonly BucketName[] }

/** What to send to bring a client from what it was told to a newer state; undefined when it would learn nothing. */
export async function planSend(announced: Announced, update: Update, turn: Turn): Promise<SendPlan | undefined> {
  const { entries } = announced
  if (entries === undefined) return planFirst(update, turn)
  const { updated, removed } = await compare(entries, update, turn)
  const { change, checkpoint, writeCheckpoint } = update
  const streamsChanged = change.kind === 'all' && !areEqual(change.streams, announced.streams)
  const isWorthALine =
    updated.length > 0 ||
    removed.length > 0 ||
    streamsChanged ||
    announced.isSuperseded ||
    writeCheckpoint !== announced.writeCheckpoint
  if (!isWorthALine) return undefined

  const line: CheckpointLine = streamsChanged
    ? {
        kind: 'checkpoint',
        checkpoint: { lastOpId: checkpoint, writeCheckpoint, ...toldOf(change) },
      }
    : {
        kind: 'checkpoint-diff',
        diff: { lastOpId: checkpoint, writeCheckpoint, updatedBuckets: updated, removedBuckets: removed },
      }
  const unfinished = await stillUnfinished(announced.unfinished, { entries, updated, removed }, turn)
  const begun = updated.filter(({ bucket }) => !announced.unfinished.has(bucket))
  return { line, updated, removed, groups: await groupByPriority([unfinished, begun], turn) }
}

/** What was begun goes on first: it would never end else, if others of its priority kept changing. */
async function stillUnfinished(
  unfinished: Announced['unfinished'],
  { entries, updated, removed }: Compared & { readonly entries: AnnouncedEntries },
  turn: Turn,
): Promise<readonly BucketEntry[]> {
  if (unfinished.size === 0) return []
  const newer = new Map<BucketName, BucketEntry>()
  for (const entry of updated) {
    if (turn.isOverAfterStep()) await turn.next()
    newer.set(entry.bucket, entry)
  }
  const gone = new Set(removed)
  const found: BucketEntry[] = []
  for (const bucket of unfinished) {
    if (turn.isOverAfterStep()) await turn.next()
    const entry = newer.get(bucket) ?? entries.get(bucket)
    if (entry !== undefined && !gone.has(bucket)) found.push(entry)
  }
  return found
}

async function planFirst({ checkpoint, writeCheckpoint, change }: Update, turn: Turn): Promise<SendPlan> {
  const told = change.kind === 'all' ? toldOf(change) : NO_BUCKETS
  return {
    line: { kind: 'checkpoint', checkpoint: { lastOpId: checkpoint, writeCheckpoint, ...told } },
    updated: told.buckets,
    removed: [],
    groups: await groupByPriority([told.buckets], turn),
  }
}

function toldOf({ entries, streams, limits }: WholeChange): Pick<Checkpoint, 'buckets' | 'streams' | 'limits'> {
  return { buckets: entries, streams, limits }
}

const NO_BUCKETS = { buckets: [], streams: [] }

type Compared = { readonly updated: readonly BucketEntry[]; readonly removed: readonly BucketName[] }

async function compare(announced: AnnouncedEntries, { change }: Update, turn: Turn): Promise<Compared> {
  const updated: BucketEntry[] = []
  if (change.kind === 'touched') {
    for (const { bucket, checksum, count } of change.sums) {
      if (turn.isOverAfterStep()) await turn.next()
      const known = announced.get(bucket)
      if (known === undefined || (known.checksum === checksum && known.count === count)) continue
      updated.push({ ...known, checksum, count })
    }
    return { updated, removed: [] }
  }
  let knownCount = 0
  for (const entry of change.entries) {
    if (turn.isOverAfterStep()) await turn.next()
    const known = announced.get(entry.bucket)
    if (known !== undefined) knownCount += 1
    if (known === undefined || !isSameEntry(known, entry)) updated.push(entry)
  }
  const removed = knownCount === announced.size ? [] : await findRemoved(announced, change.entries, turn)
  return { updated, removed }
}

async function findRemoved(
  announced: AnnouncedEntries,
  entries: readonly BucketEntry[],
  turn: Turn,
): Promise<readonly BucketName[]> {
  const present = new Set<BucketName>()
  for (const { bucket } of entries) {
    if (turn.isOverAfterStep()) await turn.next()
    present.add(bucket)
  }
  const removed: BucketName[] = []
  for (const bucket of announced.keys()) {
    if (turn.isOverAfterStep()) await turn.next()
    if (!present.has(bucket)) removed.push(bucket)
  }
  return removed
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

/** Do they say the same, apart from figures? Those change with every bucket, and alone are not worth a line. */
function areEqual(a: readonly StreamEntry[], b: readonly StreamEntry[]): boolean {
  return a === b || (a.length === b.length && a.every((stream, n) => isSameStream(stream, b[n])))
}

function isSameStream(a: StreamEntry, b: StreamEntry | undefined): boolean {
  return (
    a.name === b?.name &&
    a.isDefault === b.isDefault &&
    a.errors.length === b.errors.length &&
    a.errors.every(({ subscription, message }, n) => {
      const other = b.errors[n]
      return other !== undefined && subscription === other.subscription && message === other.message
    })
  )
}

async function groupByPriority(lists: readonly (readonly BucketEntry[])[], turn: Turn): Promise<FetchGroup[]> {
  const groups = new Map<number, BucketName[]>()
  for (const entries of lists) {
    for (const { bucket, priority } of entries) {
      if (turn.isOverAfterStep()) await turn.next()
      const group = groups.get(priority)
      if (group === undefined) groups.set(priority, [bucket])
      else group.push(bucket)
    }
  }
  return Array.from(groups, ([priority, buckets]) => ({ priority, buckets })).sort((a, b) => a.priority - b.priority)
}
