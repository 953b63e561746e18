import type { Figure } from './report.ts'

/** One file under `scenarios/`. It sets up what it needs, measures, and throws when the work was not done right. */
export type Scenario = {
  readonly name: string
  /** Given as each figure is found. `isQuick` runs small sizes: to see that the scenario works, not for the record. */
  readonly run: (options: ScenarioOptions) => AsyncIterable<Figure>
}

export type ScenarioOptions = { readonly isQuick: boolean }
