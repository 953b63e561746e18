import { readFileSync } from 'node:fs'
import { readSeed } from '@headwater/testkit'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { compileSyncConfig } from './compile.ts'

/** The configs of the documentation. */
const CONFIGS = ['reference/sync-config.md', 'guides/sync-streams.md'].flatMap((path) => {
  const page = readFileSync(new URL(`../../../docs/${path}`, import.meta.url), 'utf8')
  return Array.from(page.matchAll(/^```yaml(?: refused)?\n(.*?)^```$/gms), ([, text = '']) => text)
})

const PIECES =
  'SELECT|FROM|WHERE|AND|OR|NOT|IN|(|)|,|.|*|=|->>|::|&&|CASE|WHEN|END|json_each(|auth.user_id()|bucket.x|NULL|1|' +
  `'x'|"y"|:|- |#|\n|  |&a |*a|{|}|[|]|!x |edition: 2|streams:|with:|bucket_definitions:|query:|data:|-|\\|;`
const SEED = readSeed(process.env)

/** Removes some characters of a text and puts a piece in their place. */
const change = fc.record({
  at: fc.nat(),
  removed: fc.nat({ max: 5 }),
  piece: fc.constantFrom('', ...PIECES.split('|')),
})

test('whatever is done to a config, it compiles or is refused with places inside of it, the same each time', () => {
  expect(CONFIGS.length).toBeGreaterThan(15)
  const verdicts = { compiled: 0, refused: 0 }
  fc.assert(
    fc.property(fc.constantFrom(...CONFIGS), fc.array(change, { minLength: 1, maxLength: 2 }), (config, changes) => {
      const changed = changes.reduce((text, { at, removed, piece }) => {
        const from = at % (text.length + 1)
        return `${text.slice(0, from)}${piece}${text.slice(from + removed)}`
      }, config)
      const result = compileSyncConfig(changed)
      verdicts[result.kind]++
      const lines = changed.split('\n')
      for (const { line, column, excerpt } of result.diagnostics) {
        expect(column).toBeLessThanOrEqual((lines[line - 1] ?? '').length + 1)
        expect(excerpt.split('\n')).toHaveLength(2)
      }
      const isRefused = result.diagnostics.some(({ severity }) => severity === 'error')
      expect(isRefused).toBe(result.kind === 'refused')
      expect(compileSyncConfig(changed)).toEqual(result)
    }),
    { seed: SEED, numRuns: 400 },
  )
  expect(Math.min(verdicts.compiled, verdicts.refused), `seed ${SEED}`).toBeGreaterThan(2)
}, 60_000)
