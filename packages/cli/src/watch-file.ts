import { readFile, watch } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

/** A file is written in several steps, and empty at first; when it stays the same for so long it is whole. */
const SETTLE_MS = 50

/**
 * Calls `changed` with the content of the file each time that it is another than before (at first: `known`), until
 * `signal` aborts. Watches the directory, as editors put a new file in the place of the old one.
 */
export async function watchFile(
  { path, known }: { readonly path: string; readonly known: string },
  signal: AbortSignal,
  changed: (content: string) => Promise<void>,
): Promise<undefined> {
  let last = known
  const look = async () => {
    let content = await readIfThere(path)
    for (;;) {
      if (content === undefined || content === last) return
      await delay(SETTLE_MS, undefined, { signal })
      const again = await readIfThere(path)
      if (again === content) break
      content = again
    }
    last = content
    await changed(content)
  }
  try {
    const events = watch(dirname(path), { signal })
    // Asking for the first event starts the watch; what was written before that, we look for once.
    let event = events.next()
    // Aborted during the look, it rejects while nobody waits for it.
    event.catch(() => {})
    await look()
    for (;;) {
      const { value, done } = await event
      if (done === true) return undefined
      if (value.filename === basename(path)) await look()
      event = events.next()
    }
  } catch (error) {
    if (!signal.aborted) throw error
  }
  return undefined
}

async function readIfThere(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch(() => undefined)
}
