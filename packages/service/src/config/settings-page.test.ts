import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { expect, test } from 'vitest'
import { ENVIRONMENT, parseServiceOptions, SETTINGS } from './options.ts'

const page = readFileSync(join(import.meta.dirname, '../../../../docs/reference/settings.md'), 'utf8')
const rows = [...page.matchAll(/^\| `([a-zA-Z]+\.[a-zA-Z]+)` \| (?:`(\w+)`|–) \|/gm)]

/** The page speaks of the path of the file; a program may give its content. */
const NOT_IN_THE_FILE = 'syncConfig.content'

test('the page of settings lists every setting, and no other', () => {
  const listed = rows.map(([, setting]) => setting)
  expect(new Set(listed)).toEqual(new Set(SETTINGS.filter((setting) => setting !== NOT_IN_THE_FILE)))
})

test('the page of settings names the variable of each setting that has one', () => {
  const listed = rows.flatMap(([, setting, variable]) => (variable === undefined ? [] : [`${variable} ${setting}`]))
  expect(new Set(listed)).toEqual(new Set(ENVIRONMENT.map(([variable, path]) => `${variable} ${path.join('.')}`)))
})

test('the settings file of the page is accepted', () => {
  const [, block] = /```yaml\n([\s\S]*?)```/.exec(page) ?? []
  const file = parse(block ?? '') as { readonly syncConfig: object }
  const settings = { ...file, syncConfig: { ...file.syncConfig, content: 'streams: {}' } }
  expect(parseServiceOptions(settings)).toMatchObject({ http: { host: '0.0.0.0' } })
})
