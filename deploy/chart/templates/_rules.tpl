{{- /*
The rules with this release's values: `$(…)` becomes a value of `rules`, and alerts that are switched off are left out. `{{ }}` in
the texts is Prometheus's.
*/ -}}
{{- define "acr-verifier.rules" -}}
{{- $rules := .root.Values.rules -}}
{{- $text := .text -}}
{{- range $key := list "expiryDays" "staleSeconds" "inconclusiveRatio" "objective" "runbookUrl" -}}
{{- $text = replace (printf "$(%s)" $key) (toString (index $rules $key)) $text -}}
{{- end -}}
{{- range $key, $value := $rules.outage -}}
{{- $text = replace (printf "$(outage.%s)" $key) (toString $value) $text -}}
{{- end -}}
{{- $text = replace "$(objectivePercent)" (printf "%v %%" (mulf 100 $rules.objective)) $text -}}
{{- /* Within strings of PromQL, in which a backslash is doubled. */ -}}
{{- $text = replace "$(excludedNodes)" (replace "\\" "\\\\" $rules.excludedNodes) $text -}}
{{- /* The DaemonSets of all releases, since one cluster may need two. */ -}}
{{- $names := "(.+-)?acr-verifier(-.+)?" -}}
{{- $name := include "acr-verifier.fullname" .root -}}
{{- if not (regexMatch (printf "^%s$" $names) $name) -}}
{{- $names = printf "(%s|%s)" $names (regexQuoteMeta $name | replace "\\" "\\\\") -}}
{{- end -}}
{{- $text = replace "$(name)" $names $text -}}
{{- range $alert, $settings := $rules.alerts -}}
{{- range $key := list "for" "severity" -}}
{{- $text = replace (printf "$(%s.%s)" $alert $key) (index $settings $key | quote) $text -}}
{{- end -}}
{{- end -}}
{{- $groups := list -}}
{{- range $group := (fromYaml $text).groups -}}
{{- $kept := list -}}
{{- range $rule := $group.rules -}}
{{- $settings := get $rules.alerts (default "" $rule.alert) | default dict -}}
{{- if not (eq (toString (get $settings "enabled")) "false") -}}
{{- if and $rule.alert $rules.labels -}}
{{- $_ := set $rule "labels" (merge ($rule.labels | default dict) $rules.labels) -}}
{{- end -}}
{{- $kept = append $kept $rule -}}
{{- end -}}
{{- end -}}
{{- if $kept -}}
{{- $_ := set $group "rules" $kept -}}
{{- $groups = append $groups $group -}}
{{- end -}}
{{- end -}}
{{- toYaml (dict "groups" $groups) -}}
{{- end -}}
