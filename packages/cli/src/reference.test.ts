import { readFileSync } from 'node:fs'

import type { Command, Option } from 'commander'
import { expect, test } from 'vitest'

import { createProgram } from './program.ts'

const DOCUMENT = readFileSync(new URL('../../../docs/reference/cli.md', import.meta.url), 'utf8')

/** `## headwater dev` and what follows it, by verb. */
function readSections(): ReadonlyMap<string, string> {
  const parts = DOCUMENT.split(/^## headwater /m).slice(1)
  return new Map(parts.map((part) => [part.slice(0, part.indexOf('\n')), part]))
}

function optionRow({ flags, description, defaultValue, mandatory }: Option): string {
  const fallback = mandatory ? 'required' : defaultValue === undefined ? '' : `\`${String(defaultValue)}\``
  return `| \`${flags}\` | ${description} | ${fallback} |`
}

test('the reference has a section for each verb and none besides', () => {
  expect([...readSections().keys()]).toEqual(createProgram().commands.map((command) => command.name()))
})

test.each(createProgram().commands.map((command): [string, Command] => [command.name(), command]))(
  'the reference of %s tells its purpose and each of its options as they are',
  (name, command) => {
    const section = readSections().get(name) ?? ''
    const rows = section.split('\n').filter((line) => line.startsWith('| `-'))
    expect(section).toContain(command.description())
    expect(rows).toEqual(command.options.map(optionRow))
  },
)
