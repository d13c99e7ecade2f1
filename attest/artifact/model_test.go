package artifact_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"pgregory.net/rapid"

	"github.com/robowarden/robowarden/attest/artifact"
)

func TestModelRoundTrip(t *testing.T) {
	for _, alg := range algorithms {
		t.Run(alg, func(t *testing.T) {
			m := newModel(t, alg)
			got, err := m.verify(t)
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, f := range got.Files {
				names = append(names, fmt.Sprintf("%s %d", f.Path, f.Size))
			}
			if want := "config.json 12,weights/a.bin 10,weights/b.bin 10,weights/deep/c.bin 0"; strings.Join(names, ",") != want {
				t.Errorf("files %v: expected %v", names, want)
			}
			if len(got.Ignored) != 1 || got.Ignored[0] != ".git" || got.Name != "grasp" || got.Signer.Name != "release@example" {
				t.Errorf("%+v", got)
			}
		})
	}
}

// TestFolderFaults changes the folder in every way that a folder can differ.
func TestFolderFaults(t *testing.T) {
	do := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		edit  func(dir string)
		names string
	}{
		"a byte changed":          {func(d string) { write(t, d, map[string]string{"weights/a.bin": "0123456780"}) }, `"weights/a.bin" has other content`},
		"a byte more":             {func(d string) { write(t, d, map[string]string{"weights/a.bin": "01234567890"}) }, `"weights/a.bin" has other content`},
		"emptied":                 {func(d string) { do(os.Truncate(d+"/config.json", 0)) }, `"config.json" has other content`},
		"removed":                 {func(d string) { do(os.Remove(d + "/weights/deep/c.bin")) }, `"weights/deep/c.bin" is missing`},
		"renamed":                 {func(d string) { do(os.Rename(d+"/weights/a.bin", d+"/weights/z.bin")) }, `"weights/a.bin" is missing; "weights/z.bin" was not signed`},
		"added":                   {func(d string) { write(t, d, map[string]string{"weights/more.py": "import os"}) }, `"weights/more.py" was not signed`},
		"added hidden":            {func(d string) { write(t, d, map[string]string{".hidden": ""}) }, `".hidden" was not signed`},
		"added beside ignored":    {func(d string) { write(t, d, map[string]string{".gitx": ""}) }, `".gitx" was not signed`},
		"a signed file is a link": {func(d string) { do(os.Rename(d+"/config.json", d+"/../c")); do(os.Symlink("../c", d+"/config.json")) }, `"config.json" is a symbolic link`},
		"a link inside": {func(d string) {
			do(os.Remove(d + "/weights/b.bin"))
			do(os.Symlink("a.bin", d+"/weights/b.bin"))
		}, `"weights/b.bin" is a symbolic link`},
		"an extra link":      {func(d string) { do(os.Symlink("/etc/passwd", d+"/x")) }, `"x" is a symbolic link`},
		"a link to a folder": {func(d string) { do(os.Symlink("weights", d+"/w")) }, `"w" is a symbolic link`},
		"two files swapped": {func(d string) {
			do(os.Rename(d+"/weights/a.bin", d+"/t"))
			do(os.Rename(d+"/weights/b.bin", d+"/weights/a.bin"))
			do(os.Rename(d+"/t", d+"/weights/b.bin"))
		}, `"weights/a.bin" has other content than was signed; "weights/b.bin" has other content`},
		"a folder where a file was": {func(d string) { do(os.Remove(d + "/config.json")); do(os.Mkdir(d+"/config.json", 0o700)) }, `"config.json" is missing`},
		"a pipe where a file was": {func(d string) {
			do(os.Remove(d + "/config.json"))
			do(syscall.Mkfifo(d+"/config.json", 0o600))
		}, `"config.json" is neither`},
		"a name with a line feed": {func(d string) { write(t, d, map[string]string{"a\nb": ""}) }, `"a\nb" has a name`},
	} {
		t.Run(name, func(t *testing.T) {
			m := newModel(t, "p256")
			c.edit(m.dir)
			_, err := m.verify(t)
			refused(t, err, artifact.Changed, c.names)
		})
	}
	t.Run("the off run: nothing changed", func(t *testing.T) {
		if _, err := newModel(t, "p256").verify(t); err != nil {
			t.Error(err)
		}
	})
}

// TestDeepFolders nests folders deeper than any artifact: only the first that is too deep is looked at, since each one below
// takes as many steps to open as it has parents.
func TestDeepFolders(t *testing.T) {
	m := newModel(t, "p256")
	if err := os.MkdirAll(filepath.Join(m.dir, strings.Repeat("d/", 400)), 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := m.verify(t)
	refused(t, err, artifact.Changed, "cannot be signed")
	var e *artifact.Error
	if !errors.As(err, &e) || len(e.Faults) != 1 {
		t.Errorf("%d faults, expected one", len(e.Faults))
	}
}

func TestLinksThatAreAllowed(t *testing.T) {
	m := newModel(t, "p384")
	m.bundle = m.resign(t, []byte(strings.Replace(string(payload(t, m.bundle)), `"allow_symlinks":false`, `"allow_symlinks":true`, 1)))
	if err := os.Rename(m.dir+"/weights/a.bin", m.dir+"/.git/a"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../.git/a", m.dir+"/weights/a.bin"); err != nil {
		t.Fatal(err)
	}
	if _, err := m.verify(t); err != nil {
		t.Error("a link within the folder:", err)
	}
	// The same content behind a link that leads out does not count: whoever owns that place could change it.
	out := filepath.Join(t.TempDir(), "a")
	write(t, filepath.Dir(out), map[string]string{"a": "0123456789"})
	if err := os.Remove(m.dir + "/weights/a.bin"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(out, m.dir+"/weights/a.bin"); err != nil {
		t.Fatal(err)
	}
	_, err := m.verify(t)
	refused(t, err, artifact.Changed, `"weights/a.bin" is a symbolic link`)
}

func TestSingleFile(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"model.onnx": "weights", "other": "weights!"})
	key := newKey(t, "p256")
	sum := sha256.Sum256([]byte("weights"))
	bundle, err := artifact.SignModel("model.onnx", []artifact.File{{Path: "model.onnx", SHA256: sum}}, true, nil, key)
	if err != nil {
		t.Fatal(err)
	}
	trust := trusting(t, key)
	m, err := trust.VerifyModel(t.Context(), dir+"/model.onnx", bundle, artifact.Options{})
	if err != nil || len(m.Files) != 1 || m.Files[0].Path != "model.onnx" || !m.Single {
		t.Fatal(m, err)
	}
	_, err = trust.VerifyModel(t.Context(), dir+"/other", bundle, artifact.Options{})
	refused(t, err, artifact.Changed, `"other" has other content`)
	_, err = trust.VerifyModel(t.Context(), dir, bundle, artifact.Options{})
	refused(t, err, artifact.WrongType, "is a folder")
	_, err = trust.VerifyModel(t.Context(), dir+"/gone", bundle, artifact.Options{})
	refused(t, err, artifact.Unreadable, "gone")
	if err := os.Symlink("model.onnx", dir+"/link"); err != nil {
		t.Fatal(err)
	}
	_, err = trust.VerifyModel(t.Context(), dir+"/link", bundle, artifact.Options{})
	refused(t, err, artifact.Changed, `"link" is a symbolic link`)
}

// TestSignedButWrong has statements that the trusted key itself signed and that no honest tool writes.
func TestSignedButWrong(t *testing.T) {
	m := newModel(t, "p256")
	text := string(payload(t, m.bundle))
	subject := func(digests ...string) string {
		h := sha256.New()
		for _, d := range digests {
			raw, _ := hex.DecodeString(d)
			h.Write(raw)
		}
		return hex.EncodeToString(h.Sum(nil))
	}
	one := strings.Repeat("ab", 32)
	list := func(names ...string) string {
		var items, digests []string
		for _, n := range names {
			raw, _ := json.Marshal(n)
			items = append(items, fmt.Sprintf(`{"name":%s,"algorithm":"sha256","digest":"%s"}`, raw, one))
			digests = append(digests, one)
		}
		return fmt.Sprintf(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"x","digest":{"sha256":"%s"}}],`+
			`"predicateType":"https://model_signing/signature/v1.0","predicate":{"resources":[%s],`+
			`"serialization":{"method":"files","hash_type":"sha256","allow_symlinks":false,"ignore_paths":["ign"]}}}`,
			subject(digests...), strings.Join(items, ","))
	}
	replace := func(before, after string) string {
		if !strings.Contains(text, before) {
			t.Fatalf("the statement has no %q", before)
		}
		return strings.Replace(text, before, after, 1)
	}
	for name, c := range map[string]struct {
		statement string
		reason    artifact.Reason
		names     string
	}{
		"another statement type":  {replace("Statement/v1", "Statement/v0.1"), artifact.WrongType, "statement._type"},
		"another predicate":       {replace("signature/v1.0", "signature/v2.0"), artifact.WrongType, "statement.predicateType"},
		"another subject digest":  {replace(`"sha256":"`, `"sha256":"0`), artifact.Malformed, "statement.subject[0].digest"},
		"no subject":              {replace(`"subject":[`, `"subject":[],"x":[`), artifact.Malformed, "statement"},
		"a key twice":             {replace(`{"_type"`, `{"_type":"x","_type"`), artifact.Malformed, "comes twice"},
		"an unknown key":          {replace(`{"_type"`, `{"more":1,"_type"`), artifact.Malformed, "more"},
		"shards":                  {replace(`"files"`, `"shards"`), artifact.Unsupported, "serialization.method"},
		"shard size":              {replace(`"method"`, `"shard_size":4096,"method"`), artifact.Unsupported, "serialization.shard_size"},
		"another hash":            {replace(`"hash_type":"sha256"`, `"hash_type":"blake2b"`), artifact.Unsupported, "serialization.hash_type"},
		"another file hash":       {replace(`"algorithm":"sha256"`, `"algorithm":"md5"`), artifact.Unsupported, "resources[0].algorithm"},
		"a digest in capitals":    {strings.ToUpper(one) + list("a"), artifact.Malformed, "statement"},
		"a file twice":            {list("a", "a"), artifact.Malformed, "comes twice"},
		"a file twice, apart":     {list("a", "b", "a"), artifact.Malformed, "comes twice"},
		"a file and a folder":     {list("a", "a/b"), artifact.Malformed, `"a" is a file, and the folder of "a/b"`},
		"a file and a folder far": {list("a", "a.x", "a/b/c"), artifact.Malformed, `"a" is a file`},
		"no files":                {list(), artifact.Malformed, "resources"},
		"the folder beside files": {list(".", "a"), artifact.Malformed, "resources[0].name"},
		"absolute":                {list("/etc/passwd"), artifact.Malformed, "resources[0].name"},
		"upwards":                 {list("ok", "../x"), artifact.Malformed, "resources[1].name"},
		"upwards within":          {list("a/../../x"), artifact.Malformed, "resources[0].name"},
		"doubled slash":           {list("a//b"), artifact.Malformed, "resources[0].name"},
		"a dot part":              {list("a/./b"), artifact.Malformed, "resources[0].name"},
		"a trailing slash":        {list("a/"), artifact.Malformed, "resources[0].name"},
		"a backslash":             {list(`..\x`), artifact.Malformed, "resources[0].name"},
		"a zero byte":             {list("a\x00b"), artifact.Malformed, "resources[0].name"},
		"a line feed":             {list("a\nb"), artifact.Malformed, "resources[0].name"},
		"an empty name":           {list(""), artifact.Malformed, "resources[0].name"},
		"a long name":             {list(strings.Repeat("a", 2000)), artifact.Malformed, "resources[0].name"},
		"too deep":                {list(strings.Repeat("a/", 40) + "b"), artifact.Malformed, "resources[0].name"},
		"signed and ignored":      {list("ign/x"), artifact.Malformed, "signed and ignored"},
		"everything ignored":      {replace(`[".git"]`, `["."]`), artifact.Malformed, "ignore_paths[0]"},
		"an absolute ignore":      {replace(`[".git"]`, `["/"]`), artifact.Malformed, "ignore_paths[0]"},
		"an empty ignore":         {replace(`[".git"]`, `[""]`), artifact.Malformed, "ignore_paths[0]"},
		"text behind":             {text + "{}", artifact.Malformed, "text follows"},
		"no JSON":                 {"model", artifact.Malformed, "statement"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := m.trust.VerifyModel(t.Context(), m.dir, m.resign(t, []byte(c.statement)), artifact.Options{})
			refused(t, err, c.reason, c.names)
		})
	}
}

// TestEveryByteOfTheStatement flips each byte of the signed text: the signature must notice.
func TestEveryByteOfTheStatement(t *testing.T) {
	for _, alg := range []string{"ed25519", "p384"} {
		m := newModel(t, alg)
		text := payload(t, m.bundle)
		step := 1
		if alg == "p384" {
			step = 17 // Slower, and the code is the same.
		}
		for i := 0; i < len(text); i += step {
			changed := append([]byte{}, text...)
			changed[i] ^= 1
			bundle := change(t, m.bundle, func(d map[string]any) { d["dsseEnvelope"].(map[string]any)["payload"] = b64(changed) })
			if _, err := m.trust.OpenModel(bundle, artifact.Options{}); artifact.ReasonOf(err) != artifact.BadSignature {
				t.Fatalf("%s: byte %d: %v", alg, i, err)
			}
		}
	}
}

// TestAnyOneEditIsNamed draws a folder and one edit, and demands that the refusal names exactly the edited file.
func TestAnyOneEditIsNamed(t *testing.T) {
	key := newKey(t, "ed25519")
	trust := trusting(t, key)
	rapid.Check(t, func(r *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "m")
		if err != nil {
			r.Fatal(err)
		}
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-c]{1,2}(/[d-f]{1,2}){0,2}\.x`), 1, 8, rapid.ID[string]).Draw(r, "names")
		for _, n := range names {
			write(t, dir, map[string]string{n: rapid.StringN(0, 20, 40).Draw(r, "content")})
		}
		files, err := artifact.ListFolder(t.Context(), dir, nil, nil)
		if err != nil || len(files) != len(names) {
			r.Fatal(files, err)
		}
		bundle, err := artifact.SignModel("m", files, false, nil, key)
		if err != nil {
			r.Fatal(err)
		}
		if _, err := trust.VerifyModel(t.Context(), dir, bundle, artifact.Options{}); err != nil {
			r.Fatal("unchanged:", err)
		}
		victim := rapid.SampledFrom(names).Draw(r, "victim")
		want := artifact.Fault{Path: victim}
		switch rapid.IntRange(0, 2).Draw(r, "edit") {
		case 0:
			want.What = artifact.Missing
			err = os.Remove(filepath.Join(dir, victim))
		case 1:
			want.What = artifact.Different
			write(t, dir, map[string]string{victim: "\xffother"})
		case 2:
			want = artifact.Fault{Path: victim + "y", What: artifact.Extra}
			write(t, dir, map[string]string{victim + "y": ""})
		}
		if err != nil {
			r.Fatal(err)
		}
		_, err = trust.VerifyModel(t.Context(), dir, bundle, artifact.Options{})
		e, ok := err.(*artifact.Error) //nolint:errorlint // it is returned bare
		if !ok || e.Reason != artifact.Changed || len(e.Faults) != 1 || e.Faults[0] != want {
			r.Fatalf("found %v: expected %v alone", err, want)
		}
	})
}

// TestTreeDigestIsSha256sum holds the tree digest against the tools that FORMAT.md names.
func TestTreeDigestIsSha256sum(t *testing.T) {
	m := newModel(t, "p256")
	files, err := artifact.ListFolder(t.Context(), m.dir, []string{".git"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	script := `find . -type f -not -path './.git/*' -printf '%P\n' | LC_ALL=C sort | xargs sha256sum | sha256sum`
	cmd := exec.CommandContext(t.Context(), "sh", "-c", script)
	cmd.Dir = m.dir
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%x", artifact.TreeDigest(files)); got != strings.Fields(string(out))[0] {
		t.Errorf("tree digest %s: the tools say %s", got, out)
	}
}
