// Looks up credentials with the kubelet's keyring: reads and writes one line of JSON each until the input ends.
//
// In:  {"image": TEXT, "type": "kubernetes.io/dockerconfigjson" or "kubernetes.io/dockercfg", "config": BASE64}
// Out: {"refused": true}, or {"found": [{"username": BASE64, "password": BASE64}, ...]} in the order of the pulls.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"sort"

	v1 "k8s.io/api/core/v1"
	"k8s.io/kubernetes/pkg/credentialprovider"
	"k8s.io/kubernetes/pkg/credentialprovider/secrets"
	"k8s.io/kubernetes/pkg/util/parsers"
)

type question struct {
	Image  string        `json:"image"`
	Type   v1.SecretType `json:"type"`
	Config []byte        `json:"config"`
}

type pair struct {
	Username []byte `json:"username"`
	Password []byte `json:"password"`
}

type answer struct {
	Refused bool   `json:"refused"`
	Found   []pair `json:"found"`
}

func main() {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 8<<20)
	out := json.NewEncoder(os.Stdout)
	for in.Scan() {
		var asked question
		if err := json.Unmarshal(in.Bytes(), &asked); err != nil {
			fail(err)
		}
		if err := out.Encode(find(asked)); err != nil {
			fail(err)
		}
	}
	if err := in.Err(); err != nil {
		fail(err)
	}
}

// The steps of the kubelet's image manager: EnsureImageExists and pullImage.
func find(asked question) answer {
	repository, _, _, err := parsers.ParseImageName(asked.Image)
	if err != nil {
		fail(err)
	}
	key := v1.DockerConfigJsonKey
	if asked.Type == v1.SecretTypeDockercfg {
		key = v1.DockerConfigKey
	}
	secret := v1.Secret{Type: asked.Type, Data: map[string][]byte{key: asked.Config}}
	keyring, err := secrets.MakeDockerKeyring([]v1.Secret{secret}, &credentialprovider.BasicDockerKeyring{})
	if err != nil {
		return answer{Refused: true}
	}
	pulls, _ := keyring.Lookup(repository)
	found := pairs(pulls)
	ordered := pairs(inOrder(asked, repository))
	if !reflect.DeepEqual(sorted(found), sorted(ordered)) {
		fail(fmt.Errorf("the order changes what is found for %q", asked.Config))
	}
	return answer{Found: ordered}
}

// Several spellings of a key come in Go's random map order; here in descending order.
func inOrder(asked question, repository string) []credentialprovider.TrackedAuthConfig {
	if len(asked.Config) == 0 {
		return nil
	}
	var entries credentialprovider.DockerConfig
	var whole credentialprovider.DockerConfigJSON
	var err error
	if asked.Type == v1.SecretTypeDockercfg {
		err = json.Unmarshal(asked.Config, &entries)
	} else {
		err = json.Unmarshal(asked.Config, &whole)
		entries = whole.Auths
	}
	if err != nil {
		fail(err)
	}
	var keys []string
	for key := range entries {
		keys = append(keys, key)
	}
	sort.Sort(sort.Reverse(sort.StringSlice(keys)))
	keyring := &credentialprovider.BasicDockerKeyring{}
	for _, key := range keys {
		keyring.Add(nil, credentialprovider.DockerConfig{key: entries[key]})
	}
	pulls, _ := keyring.Lookup(repository)
	return pulls
}

func pairs(pulls []credentialprovider.TrackedAuthConfig) []pair {
	found := []pair{}
	for _, pull := range pulls {
		found = append(found, pair{[]byte(pull.Username), []byte(pull.Password)})
	}
	return found
}

func sorted(found []pair) []string {
	var texts []string
	for _, one := range found {
		texts = append(texts, fmt.Sprintf("%q %q", one.Username, one.Password))
	}
	sort.Strings(texts)
	return texts
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "keyring:", err)
	os.Exit(1)
}
