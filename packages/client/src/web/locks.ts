/** Ends the hold. Calling it twice is harmless. */
export type ReleaseLock = () => void

/**
 * Waits at most `waitMs` for a Web Lock and keeps it until released, or until this page or worker is gone. Undefined:
 * somebody else still has it. Where the browser has no Web Locks there is nothing to wait for.
 */
export async function holdLock(name: string, waitMs: number): Promise<ReleaseLock | undefined> {
  if (!('locks' in navigator)) return () => {}
  const held = Promise.withResolvers<ReleaseLock | undefined>()
  const released = Promise.withResolvers<void>()
  const options = { signal: AbortSignal.timeout(waitMs) }
  navigator.locks
    .request(name, options, () => {
      held.resolve(() => {
        released.resolve()
      })
      return released.promise
    })
    .catch((error: unknown) => {
      if (error instanceof DOMException && error.name === 'TimeoutError') held.resolve(undefined)
      else held.reject(error)
    })
  return await held.promise
}

/** Resolves when whoever holds `name` now has released it or died. Resolves never where the browser has no Web Locks. */
export async function waitForRelease(name: string, signal: AbortSignal): Promise<void> {
  if (!('locks' in navigator)) return await new Promise(() => {})
  await navigator.locks.request(name, { signal }, () => {})
}
