/** More are set by a number: each takes memory, and a share of the limits of all, whether it has something to do or not. */
const AUTO_WORKERS_MAX = 8

/**
 * How many workers make sense on a machine that can run so much at once: one core is for the main process, the others are
 * for workers. On two cores the one worker would serve as the main process did; what it gained when that was measured is
 * gone where Postgres or a proxy wants the second core, and its memory is not.
 */
export function countWorkers(cores: number): number {
  return cores <= 2 ? 0 : Math.min(cores - 1, AUTO_WORKERS_MAX)
}
