import { ORACLE_COLUMNS, type OracleScalar, type OracleSourceForm, type OracleType } from './oracle-tree.ts'

/** Something that an expression can be built of. */
export type Atom = {
  readonly scalar: OracleScalar
  readonly type: OracleType
  /**
   * Name of the one source that it depends on, `request`, or `nothing`. What json_each gives of a table's column depends
   * on the table.
   */
  readonly owner: string
  /** Key or value of json_each, which cannot be selected. */
  readonly isElement: boolean
}

/** What the columns of a source are to the query around it; `before` are those of the sources that stand before it. */
export function atomsOf(form: OracleSourceForm, alias: string, before: readonly Atom[]): readonly Atom[] {
  const column = (name: string, type: OracleType): OracleScalar => ({ kind: 'column', alias, column: name, type })
  switch (form.kind) {
    case 'table':
      return [{ name: 'id', type: 'text' as const }, ...ORACLE_COLUMNS].map(({ name, type }) => {
        return { scalar: column(name, type), type, owner: alias, isElement: false }
      })
    case 'each': {
      const { owner, type } = describeScalar(form.argument, before)
      const of = owner === 'request' || owner === 'nothing' ? alias : owner
      const valueType = type === 'numbers' ? 'number' : 'text'
      return [
        { scalar: column('value', valueType), type: valueType, owner: of, isElement: true },
        { scalar: column('key', 'number'), type: 'number', owner: of, isElement: true },
      ]
    }
    case 'subquery':
    case 'cte': {
      const { from, columns } = form.kind === 'cte' ? form.cte.select : form.select
      const inner: Atom[] = []
      for (const source of from) inner.push(...atomsOf(source.form, source.alias, inner))
      return columns.map(({ name, value }) => {
        const { owner, type, isElement } = describeScalar(value, inner)
        const isOutside = owner === 'request' || owner === 'nothing'
        return { scalar: column(name, type), type, owner: isOutside ? owner : `${alias}/${owner}`, isElement }
      })
    }
  }
}

/** What is computed from an array need not be one. */
function computedType(type: OracleType): OracleType {
  return isArray(type) ? 'text' : type
}

type Described = { readonly owner: string; readonly type: OracleType; readonly isElement: boolean }

/** Owner and type of an expression from those of its parts. */
export function describeScalar(scalar: OracleScalar, known: readonly Atom[]): Described {
  switch (scalar.kind) {
    case 'column': {
      const text = JSON.stringify(scalar)
      const atom = known.find((each) => JSON.stringify(each.scalar) === text)
      return atom ?? { owner: scalar.alias, type: scalar.type, isElement: false }
    }
    case 'literal':
      return { owner: 'nothing', type: typeof scalar.value === 'number' ? 'number' : 'text', isElement: false }
    case 'request':
      return { owner: 'request', type: scalar.type, isElement: false }
    case 'call':
    case 'case': {
      const parts =
        scalar.kind === 'call'
          ? scalar.args
          : [scalar.result, ...(scalar.otherwise === undefined ? [] : [scalar.otherwise])]
      const described = parts.map((part) => describeScalar(part, known))
      const owned = described.find(({ owner }) => owner !== 'nothing')
      const isNumber = scalar.kind === 'call' && ['length', '+', '-', '*'].includes(scalar.name)
      return {
        owner: owned?.owner ?? 'nothing',
        type: isNumber ? 'number' : computedType(described[0]?.type ?? 'text'),
        isElement: described.some(({ isElement }) => isElement),
      }
    }
  }
}

export const REQUEST_ATOMS: readonly Atom[] = (['auth', 'connection', 'subscription'] as const).flatMap((source) => {
  const types = { s: 'text', n: 'number', f: 'boolean', list: 'texts', nums: 'numbers' } as const
  const named = Object.entries(types).map(([name, type]): Atom => {
    return { scalar: { kind: 'request', source, name, type }, type, owner: 'request', isElement: false }
  })
  if (source !== 'auth') return named
  const sub: OracleScalar = { kind: 'request', source, name: 'sub', type: 'text' }
  return [{ scalar: sub, type: 'text', owner: 'request', isElement: false }, ...named]
})

export function isArray(type: OracleType): boolean {
  return type === 'texts' || type === 'numbers'
}
