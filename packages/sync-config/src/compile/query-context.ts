import type { Edition } from '../file/format.ts'
import type { Problems, Span } from '../file/diagnostics.ts'
import type { ScalarText } from '../file/scalar-text.ts'
import type { PlanReference, ReferenceTarget } from '../plan.ts'
import type { ValueOptions } from '../values/column-form.ts'

/** One query being compiled: its rules, and where to tell what is found. */
export type QueryContext = {
  readonly edition: Edition
  readonly fixedJsonExtract: boolean
  readonly engine: ValueOptions['engine']
  /** Allows what only sync configs of this service have. */
  readonly extensions: boolean
  /** Returns undefined, so that a refusal can be the result. */
  readonly refuse: (span: Span, message: string) => undefined
  readonly warn: (span: Span, message: string) => void
  readonly refer: (span: Span, target: ReferenceTarget) => void
  /** As it was written. */
  readonly textOf: (span: Span) => string
}

/** A place, with the query it is in: what a query takes from elsewhere has places there. */
export type Site = Span & { readonly context: QueryContext }

type ContextParts = Pick<QueryContext, 'edition' | 'fixedJsonExtract' | 'engine' | 'extensions'> & {
  readonly query: ScalarText
  readonly problems: Problems
  readonly references: PlanReference[]
}

export function makeQueryContext(parts: ContextParts): QueryContext {
  const { query, problems, references, edition, fixedJsonExtract, engine, extensions } = parts
  return {
    edition,
    fixedJsonExtract,
    engine,
    extensions,
    refuse: (span, message) => {
      problems.error(query.offsetAt(span.start), message)
      return undefined
    },
    warn: (span, message) => problems.warn(query.offsetAt(span.start), message),
    refer: (span, target) => {
      references.push({ target, place: problems.placeOf(query.offsetAt(span.start)) })
    },
    textOf: (span) => query.text.slice(span.start, span.end),
  }
}
