import type { Problems } from './diagnostics.ts'
import { type Edition, FILE_FORMAT, type Format, isOnByItself, type KeyFormat, type KeysFormat } from './format.ts'
import { didYouMean } from './suggest.ts'
import type { YamlEntry, YamlMap, YamlNode } from './yaml-tree.ts'

/** Reports everything in the file that its format does not allow. Keys are held to `edition`, if there is a valid one. */
export function checkFormat(root: YamlMap, edition: Edition | undefined, problems: Problems): void {
  checkKeys(root, FILE_FORMAT, { edition, problems, place: undefined, offset: root.offset, root })
}

type At = {
  readonly edition: Edition | undefined
  readonly problems: Problems
  /** Where the map stands, in words: `stream "mine"`. Undefined at the top level. */
  readonly place: string | undefined
  /** Of the name of that place. */
  readonly offset: number
  readonly root: YamlMap
}

function checkKeys(map: YamlMap, format: KeysFormat, at: At): void {
  for (const entry of map.entries) {
    const key = Object.hasOwn(format.keys, entry.name) ? format.keys[entry.name] : undefined
    if (key === undefined) {
      reportUnknown(entry, format, at)
    } else if (isOfEdition(entry, key, at)) {
      const label = `"${entry.name}"${at.place === undefined ? '' : ` of ${at.place}`}`
      const inside = { ...at, label, place: `"${entry.name}"`, offset: entry.keyOffset }
      if (checkValue(entry.value, key.format, inside)) checkNeeds(entry, key, at)
    }
  }
  checkPresence(map, format, at)
}

function reportUnknown({ name, keyOffset }: YamlEntry, { keys, others }: KeysFormat, { problems, place }: At): void {
  const where = place === undefined ? 'at the top level' : `in ${place}`
  const known = Object.keys(keys)
  if (others === 'ignored') {
    problems.warn(keyOffset, `The key "${name}" ${where} has no effect${didYouMean(name, known)}`)
  } else if (name === '<<') {
    problems.error(keyOffset, `YAML 1.2 does not merge maps by "<<" (${where}): write the keys out`)
  } else {
    const hint = didYouMean(name, known) || `: expected ${known.map((key) => `"${key}"`).join(', ')}`
    problems.error(keyOffset, `Unknown key "${name}" ${where}${hint}`)
  }
}

function isOfEdition({ name, keyOffset }: YamlEntry, { only }: KeyFormat, { edition, problems }: At): boolean {
  if (only === undefined || edition === undefined || only.editions.includes(edition)) return true
  problems.error(keyOffset, `"${name}" does not exist in edition ${edition}: ${only.advice}`)
  return false
}

/** What a key asks of the settings beside it. */
function checkNeeds({ name, value }: YamlEntry, { needs }: KeyFormat, { edition, problems, root }: At): void {
  if (needs === undefined || edition === undefined) return
  if (value.kind === 'boolean' && !value.value) return
  if (!needs.editions.includes(edition)) {
    problems.error(value.offset, `"${name}" needs "edition: ${needs.editions.join(' or ')}"`)
  } else if (!isFlagOn(root, needs.flag, edition)) {
    problems.error(value.offset, `"${name}" needs "${needs.flag}: true"`)
  }
}

/** A flag of `config`: what the file says, else what its edition says. */
export function isFlagOn(root: YamlMap, flag: string, edition: Edition): boolean {
  const config = root.find('config')?.value
  const value = config?.kind === 'map' ? config.find(flag)?.value : undefined
  return value?.kind === 'boolean' ? value.value : isOnByItself(flag, edition)
}

function checkPresence(map: YamlMap, format: KeysFormat, { problems, place, offset }: At): void {
  const title = place === undefined ? 'A sync config' : capitalised(place)
  const isThere = (key: string): boolean => map.find(key) !== undefined
  for (const [key, { isRequired, format: wanted }] of Object.entries(format.keys)) {
    if (isRequired === true && !isThere(key)) {
      problems.error(offset, `${title} needs "${key}": ${describeFormat(wanted)}`)
    }
  }
  const { atLeastOne, exactlyOne } = format
  if (atLeastOne !== undefined && !atLeastOne.some(isThere)) {
    problems.error(offset, `${title} needs "streams" (with "edition: 3" in "config") or "bucket_definitions"`)
  }
  if (exactlyOne === undefined) return
  const count = exactlyOne.filter(isThere).length
  if (count === 1) return
  const keys = exactlyOne.map((key) => `"${key}"`).join(' and ')
  const fault = count === 0 ? 'has neither' : 'has both'
  problems.error(offset, `${title} must have exactly one of ${keys}, it ${fault}`)
}

type ValueAt = At & { readonly label: string }

/** False where the value is not of its format; it has been reported then. */
function checkValue(value: YamlNode, format: Format, at: ValueAt): boolean {
  switch (format.kind) {
    case 'boolean':
      return value.kind === 'boolean' || refuse(value, format, at)
    case 'choice':
      return isChoice(value, format.choices) || refuse(value, format, at)
    case 'query':
      return value.kind === 'text' || refuse(value, format, at)
    case 'queries':
      return value.kind === 'list' ? checkItems(value.items, at) : refuse(value, format, at)
    case 'query-or-queries':
      if (value.kind === 'text') return true
      return value.kind === 'list' ? checkItems(value.items, at) : refuse(value, format, at)
    case 'keys':
      if (value.kind !== 'map') return refuse(value, format, at)
      checkKeys(value, format, at)
      return true
    case 'names':
      if (value.kind !== 'map') return refuse(value, format, at)
      for (const entry of value.entries) {
        const place = `${format.noun} "${entry.name}"`
        checkValue(entry.value, format.entry, { ...at, place, label: capitalised(place), offset: entry.keyOffset })
      }
      return true
  }
}

function checkItems(items: readonly YamlNode[], at: ValueAt): boolean {
  const checked = items.map((item, index) =>
    checkValue(item, { kind: 'query' }, { ...at, label: `Item ${index + 1} of ${at.label}` }),
  )
  return checked.every(Boolean)
}

function isChoice(value: YamlNode, choices: readonly (string | number)[]): boolean {
  if (value.kind === 'number') return choices.includes(value.value)
  return value.kind === 'text' && choices.includes(value.scalar.text)
}

function refuse(value: YamlNode, format: Format, { label, problems }: ValueAt): false {
  const hint = hintFor(value, format)
  problems.error(value.offset, `${label} must be ${describeFormat(format)}, got ${describeNode(value)}${hint}`)
  return false
}

/** What YAML read otherwise than its author meant. */
function hintFor(value: YamlNode, format: Format): string {
  if (value.kind !== 'text') return ''
  const { text } = value.scalar
  if (format.kind === 'boolean' && /^(yes|no|on|off)$/i.test(text)) {
    return ': YAML 1.2 has no other words for true and false'
  }
  const isMeant =
    format.kind === 'boolean'
      ? /^(true|false)$/.test(text)
      : format.kind === 'choice' && isNumberOf(text, format.choices)
  if (isMeant) return ': write it without quotes'
  return format.kind === 'choice'
    ? didYouMean(
        text,
        format.choices.filter((choice) => typeof choice === 'string'),
      )
    : ''
}

function isNumberOf(text: string, choices: readonly (string | number)[]): boolean {
  return choices.some((choice) => typeof choice === 'number' && String(choice) === text)
}

function describeFormat(format: Format): string {
  switch (format.kind) {
    case 'boolean':
      return 'true or false'
    case 'choice': {
      const words = format.choices.map(String)
      return typeof format.choices[0] === 'string'
        ? `one of ${words.join(', ')}`
        : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`
    }
    case 'query':
      return 'the text of a query'
    case 'queries':
      return 'a list of queries'
    case 'query-or-queries':
      return 'a query or a list of queries'
    case 'keys':
    case 'names':
      return 'a map'
  }
}

function describeNode(node: YamlNode): string {
  switch (node.kind) {
    case 'map':
      return 'a map'
    case 'list':
      return 'a list'
    case 'text':
      return JSON.stringify(node.scalar.text.slice(0, 40))
    case 'number':
    case 'boolean':
      return String(node.value)
    case 'null':
      return 'nothing'
    case 'other':
      return `a value of the type ${node.tag}`
  }
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
