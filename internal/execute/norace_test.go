//go:build !race

package execute

// raced says that the race detector makes everything several times slower.
const raced = false
