import { perSecond, stringifyOperations } from '../limits.ts'
import type { Scenario } from '../scenario.ts'

/** Limits that belong to no single scenario. */
export const scenario: Scenario = {
  name: 'limits',
  run: async function* ({ isQuick }) {
    const operations = isQuick ? 100_000 : 2_000_000
    const limit = stringifyOperations(operations)
    yield {
      name: 'JSON.stringify, operations of 100 B',
      value: perSecond(limit),
      unit: 'ops/s',
      cpuMicros: (limit.cpuMs * 1_000) / limit.units,
      verified: 'nothing to verify',
    }
  },
}
