const TELLING = /\b(?:PANIC|FATAL|ERROR|DETAIL|HINT): /
const LINES_MAX = 6

/** What of the log of one run of Postgres says why it failed; its last lines when none does. */
export function excerptLog(log: string): string {
  const lines = log.trim().split('\n')
  const telling = lines.filter((line) => TELLING.test(line))
  return (telling.length === 0 ? lines : telling).slice(-LINES_MAX).join('\n')
}

/** A sentence to end a message with, or ''. `text` is what Postgres said. */
export function remedyFor(text: string): string {
  return /No space left on device|Disk quota exceeded/.test(text)
    ? '\nThe disk is full: free some space and start again, or choose a directory on another disk (--data-dir).'
    : ''
}
