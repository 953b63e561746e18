import type { Span } from '../file/diagnostics.ts'

/**
 * Parsed SQL: what was written, not yet whether it makes sense. Every node has the stretch of the query it came from.
 * The tree holds more than the compiler takes, so that a refusal can name what was written.
 */
export type Select = Span & {
  readonly distinct: Span | undefined
  readonly items: readonly SelectItem[]
  readonly from: readonly Source[]
  readonly where: SqlExpression | undefined
}

export type SelectItem =
  | (Span & { readonly kind: 'star'; readonly qualifier: Name | undefined })
  | (Span & { readonly kind: 'expression'; readonly expression: SqlExpression; readonly alias: Name | undefined })

export type Source = Span & {
  /** How it is joined to the ones before it. */
  readonly joined: 'first' | 'comma' | 'join' | 'left'
  /** Condition of a join. */
  readonly on: SqlExpression | undefined
} & SourceForm

export type SourceForm =
  | {
      readonly kind: 'table'
      /** Undefined where none was written. */
      readonly schema: Name | undefined
      readonly name: Name
      readonly alias: Name | undefined
    }
  /** A function that gives rows: `json_each(tags) AS t`. */
  | {
      readonly kind: 'call'
      readonly name: Name
      readonly args: readonly SqlExpression[]
      readonly alias: Name | undefined
    }
  | {
      readonly kind: 'subquery'
      readonly select: Select
      readonly alias: Name
      /** Names for its columns: `AS x(a, b)`. */
      readonly columns: readonly Name[] | undefined
    }

/** An identifier after folding: lower case unless quoted. */
export type Name = Span & { readonly text: string; readonly isQuoted: boolean }

export type SqlExpression = Span & SqlForm

export type SqlForm =
  | { readonly kind: 'null' }
  | { readonly kind: 'boolean'; readonly value: boolean }
  | { readonly kind: 'integer'; readonly digits: string }
  | { readonly kind: 'real'; readonly value: number }
  | { readonly kind: 'text'; readonly value: string }
  | { readonly kind: 'column'; readonly qualifier: Name | undefined; readonly name: Name }
  | {
      readonly kind: 'call'
      readonly qualifier: Name | undefined
      readonly name: Name
      readonly args: readonly SqlExpression[]
    }
  | { readonly kind: 'unary'; readonly operator: 'not' | '-' | '+'; readonly operand: SqlExpression }
  | {
      readonly kind: 'binary'
      readonly operator: BinaryOperator
      readonly left: SqlExpression
      readonly right: SqlExpression
    }
  | {
      readonly kind: 'is'
      readonly operand: SqlExpression
      readonly what: 'null' | 'true' | 'false'
      readonly negated: boolean
    }
  | {
      readonly kind: 'between'
      readonly operand: SqlExpression
      readonly low: SqlExpression
      readonly high: SqlExpression
      readonly negated: boolean
    }
  | { readonly kind: 'in'; readonly operand: SqlExpression; readonly right: InRight; readonly negated: boolean }
  | {
      readonly kind: 'like'
      readonly operand: SqlExpression
      readonly pattern: SqlExpression
      readonly escape: SqlExpression | undefined
      readonly negated: boolean
    }
  /** `a && b`: do they share an element? */
  | { readonly kind: 'overlap'; readonly left: InRight; readonly right: InRight }
  | { readonly kind: 'cast'; readonly operand: SqlExpression; readonly type: Name }
  | {
      readonly kind: 'case'
      /** `CASE operand WHEN …`; undefined for `CASE WHEN condition`. */
      readonly operand: SqlExpression | undefined
      readonly branches: readonly { readonly when: SqlExpression; readonly result: SqlExpression }[]
      readonly otherwise: SqlExpression | undefined
    }

export type InRight =
  | { readonly kind: 'subquery'; readonly select: Select }
  /**
   * `(1, 2)`, which SQL has and sync configs do not. One item, as in `x IN ('a')`, is no list but the value in
   * parentheses: it means the same as `expression`, so it has to be a JSON array.
   */
  | { readonly kind: 'values'; readonly items: readonly SqlExpression[] }
  /** `ARRAY[1, 2]` or `ROW(1, 2)`. */
  | { readonly kind: 'array'; readonly items: readonly SqlExpression[] }
  /** A JSON array, or the name of a CTE. */
  | { readonly kind: 'expression'; readonly expression: SqlExpression }

export type ComparisonOperator = '=' | '!=' | '<' | '<=' | '>' | '>='
export type BinaryOperator =
  | ComparisonOperator
  | 'and'
  | 'or'
  | '+'
  | '-'
  | '*'
  | '/'
  | '%'
  | '||'
  | '->'
  | '->>'
  | '&'
  | '|'
  | '<<'
  | '>>'

/** What is wrong with one stretch of a query. */
export class SqlError extends Error {
  override readonly name = 'SqlError'
  readonly span: Span

  constructor(span: Span, message: string) {
    super(message)
    this.span = span
  }
}

/** What the reading of one query came to. */
export type ParsedSql = {
  /** Undefined when part of it could not be read; there with all that was refused put otherwise or left out. */
  readonly select: Select | undefined
  readonly faults: readonly SqlError[]
  /** Names of tables and columns with capitals and without quotes, which count as lower case. */
  readonly folded: readonly Name[]
}
