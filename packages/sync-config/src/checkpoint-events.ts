import type { PlanBody } from './plan.ts'
import type { Plan } from './types.ts'

/** Events whose payloads are write checkpoints that the app's backend makes. Two names for one thing. */
const CHECKPOINT_EVENTS: ReadonlySet<string> = new Set(['write_checkpoints', 'checkpoint_requests'])

/** What such a payload must have; `client_id` may be there besides. */
export const CHECKPOINT_COLUMNS = ['user_id', 'checkpoint'] as const

export function isCheckpointEvent(name: string): boolean {
  return CHECKPOINT_EVENTS.has(name)
}

/**
 * Where the app's backend makes the write checkpoints, which rows say so: a text that is equal for two plans when they
 * read the same from the same tables. Undefined where the service makes them. That the plan is whole is for `loadPlan` to check.
 */
export function describeCheckpointEvents(plan: Plan): string | undefined {
  const { events = [], values } = plan.body as unknown as Partial<PlanBody>
  const found = events.filter(({ name }) => isCheckpointEvent(name))
  return found.length === 0
    ? undefined
    : JSON.stringify([found.map(({ table, filters, columns }) => [table, filters, columns]), values])
}
