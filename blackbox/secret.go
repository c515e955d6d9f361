package blackbox

import (
	"os"
	"strings"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/strictyaml"
)

// SecretKind is the kind of the references that [Secret] resolves: "module:PATH#/POINTER".
const SecretKind = "module"

// Secret returns the text that stands in a configuration file. ref is what follows the reference's kind: the file's path and a
// JSON pointer (RFC 6901) to the value, as in "/etc/blackbox.yml#/modules/web/http/basic_auth/password".
func Secret(ref string) (muster.Secret, error) {
	i := strings.LastIndex(ref, "#/")
	if i < 0 {
		return muster.Secret{}, muster.Errorf(muster.KindInvalid, "secret %s:%s: want a file and a place in it, PATH#/POINTER", SecretKind, ref)
	}
	path, pointer := ref[:i], ref[i+1:]
	text, err := os.ReadFile(path)
	if err != nil {
		return muster.Secret{}, muster.Errorf(muster.KindInvalid, "read the secret: %w", err)
	}
	doc, err := strictyaml.Reader{YAML11: true}.Parse(path, text)
	if err != nil {
		return muster.Secret{}, err
	}
	value, ok := doc.Text(pointer)
	if !ok {
		return muster.Secret{}, muster.Errorf(muster.KindInvalid, "read the secret: %s has none at %s", path, pointer)
	}
	return muster.NewSecret(value), nil
}

var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")

// reference refers to the value at a path of keys below the module.
func (c *compiler) reference(keys ...string) string {
	var ref strings.Builder
	ref.WriteString(SecretKind + ":" + c.file.path + "#/modules/" + pointerEscapes.Replace(c.name))
	for _, k := range keys {
		ref.WriteString("/" + pointerEscapes.Replace(k))
	}
	return ref.String()
}

// hidden is a template of the secret at a path of keys below the module.
func (c *compiler) hidden(keys ...string) string { return secretTemplate(c.reference(keys...)) }

func secretTemplate(ref string) string { return "{{secret " + quote(ref) + "}}" }
