import { type Expression, partsOf, type RequestSource } from '../plan.ts'
import type { DraftStreamRoute } from './assemble.ts'
import type { DraftSource, DraftValue } from './route.ts'

type Trust = 'safe' | 'unsafe' | 'neutral'

/**
 * Can any client choose which bucket it gets? Claims are signed; connection and subscription parameters are what the
 * client says. A bucket is safe as soon as one of its values comes from a claim, directly or through lookups. Tests of
 * existence do not count: they say that somebody may, not what.
 */
export function isDangerous(route: DraftStreamRoute): boolean {
  const trust = trustOfAll(route.values.flat().map((value) => trustOfValue(route, value)))
  if (trust !== 'neutral') return trust === 'unsafe'
  const arrays = route.steps.filter(({ source }) => source.kind === 'each').map(trustOfArray)
  return trustOfAll([...route.filters.map(trustOfExpression), ...arrays]) === 'unsafe'
}

function trustOfValue(route: DraftStreamRoute, value: DraftValue): Trust {
  if (value.kind === 'request') return trustOfExpression(value.expression)
  const step = route.steps.find(({ source }) => source === value.source)
  const inputs = step?.keys.flatMap((key) => key.values) ?? []
  const trusts = inputs.map((input) => trustOfValue(route, input))
  return trustOfAll(step?.source.kind === 'each' ? [...trusts, trustOfArray(step)] : trusts)
}

/** An array of the request is known by what it is taken from, and by what its elements are compared with. */
function trustOfArray({ source, filters }: DraftSource): Trust {
  const array = source.kind === 'each' ? [source.argument] : []
  const sources = [...array, ...filters].flatMap(requestSources)
  return sources.length === 0 || sources.includes('claims') ? 'safe' : 'unsafe'
}

function trustOfAll(parts: readonly Trust[]): Trust {
  if (parts.includes('safe')) return 'safe'
  return parts.includes('unsafe') ? 'unsafe' : 'neutral'
}

function trustOfExpression(expression: Expression): Trust {
  const sources = requestSources(expression)
  return sources.length === 0 || sources.includes('claims') ? 'safe' : 'unsafe'
}

export function requestSources(expression: Expression): readonly RequestSource[] {
  return expression.kind === 'request' ? [expression.source] : partsOf(expression).flatMap(requestSources)
}
