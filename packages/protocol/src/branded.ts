declare const brand: unique symbol

/** A `Base` that must not be mixed up with another. The file that defines a brand is the only one that casts to it. */
export type Branded<Base, Name extends string> = Base & { readonly [brand]: Name }
