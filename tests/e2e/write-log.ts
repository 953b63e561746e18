/** Every local write that was committed on any device, to ask the source later what became of it. */
export type WriteLog = {
  readonly nextId: (device: string) => string
  readonly note: (write: LocalWrite) => void
  /** The backend refused it. */
  readonly reject: (writeId: string, reason: string) => void
  readonly count: () => number
  readonly countRejected: () => number
  /** Compares with the source's ledger; gives one line for each write that was lost or made twice. */
  readonly findFaults: (source: LedgerView) => readonly string[]
}

export type LocalWrite =
  | { readonly writeId: string; readonly kind: 'journal' }
  | { readonly writeId: string; readonly kind: 'add todo' }
  | { readonly writeId: string; readonly kind: 'change todo'; readonly id: string }

export type LedgerView = {
  /** How often the source wrote a row with this write id. */
  readonly times: ReadonlyMap<string, number>
  readonly todoIds: ReadonlySet<string>
}

export function createWriteLog(): WriteLog {
  const writes = new Map<string, LocalWrite>()
  const rejections = new Map<string, string>()
  let ids = 0
  return {
    nextId: (device) => `${device}-${ids++}`,
    note: (write) => void writes.set(write.writeId, write),
    reject: (writeId, reason) => void rejections.set(writeId, reason),
    count: () => writes.size,
    countRejected: () => rejections.size,
    findFaults: (source) => [...writes.values()].flatMap((write) => findFault(write, rejections, source)),
  }
}

function findFault(
  write: LocalWrite,
  rejections: ReadonlyMap<string, string>,
  { times, todoIds }: LedgerView,
): readonly string[] {
  const { writeId, kind } = write
  const made = times.get(writeId) ?? 0
  const reason = rejections.get(writeId)
  if (made > 1) return [`${kind} ${writeId} was made ${made} times`]
  if (reason !== undefined) return made === 0 ? [] : [`${kind} ${writeId} was made although it was refused: ${reason}`]
  // A change to a row that somebody else deleted first has nothing left to change.
  if (made === 0 && !(kind === 'change todo' && !todoIds.has(write.id))) return [`${kind} ${writeId} was lost`]
  return []
}
