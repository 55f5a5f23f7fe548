{{/*
Contradictions between values and the objects that the chart renders: labels, annotations, volumes, variables, security contexts,
updates, and the modes of the smoke check. Each template returns its errors as a JSON list; `_validate.tpl` reports them.
*/}}

{{/* Labels and annotations that the chart sets itself, or that mean something else there. */}}
{{- define "acr-verifier.validateMetadata" -}}
{{- $errors := list -}}
{{- $own := list "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/version" "app.kubernetes.io/component" "app.kubernetes.io/managed-by" "app.kubernetes.io/part-of" "helm.sh/chart" -}}
{{- $common := default dict .Values.commonLabels -}}
{{- $labels := dict "commonLabels" $common "podLabels" .Values.podLabels "podMonitor.additionalLabels" .Values.podMonitor.additionalLabels "dashboards.labels" .Values.dashboards.labels "rules.additionalLabels" .Values.rules.additionalLabels -}}
{{- range $where, $map := $labels -}}
  {{- range $key, $_ := $map -}}
    {{- if regexMatch "^([^/]*\\.)?kubernetes\\.azure\\.com/" $key -}}
      {{- $errors = append $errors (printf "invalid label %q in %s: kubernetes.azure.com is reserved for AKS" $key $where) -}}
    {{- else if has $key $own -}}
      {{- $errors = append $errors (printf "invalid label %q in %s: duplicate key; the chart sets it, and its selectors depend on it" $key $where) -}}
    {{- else if and (ne $where "commonLabels") (hasKey $common $key) -}}
      {{- $errors = append $errors (printf "invalid label %q in %s: duplicate key; commonLabels has it too" $key $where) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- $annotations := dict "commonAnnotations" .Values.commonAnnotations "podAnnotations" .Values.podAnnotations "serviceAccount.annotations" .Values.serviceAccount.annotations "dashboards.annotations" .Values.dashboards.annotations "smoke.annotations" .Values.smoke.annotations -}}
{{- range $where, $map := merge (dict "nodeSelector" .Values.nodeSelector "smoke.nodeSelector" .Values.smoke.nodeSelector) $labels $annotations -}}
  {{- range $key, $_ := $map -}}
    {{- /* Kubernetes ignores case in the prefix of an annotation only. */ -}}
    {{- $prefix := ternary (splitList "/" $key | first) "" (contains "/" $key) -}}
    {{- if or (not (regexMatch (include "acr-verifier.form" "labelName") $key)) (gt (len $prefix) 253) (and (ne $prefix (lower $prefix)) (not (hasKey $annotations $where))) -}}
      {{- $errors = append $errors (printf "invalid key %q in %s: expected a name with an optional prefix, such as example.com/team" $key $where) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- if hasKey $common "azure.workload.identity/use" -}}
  {{- $errors = append $errors "invalid label \"azure.workload.identity/use\" in commonLabels: it would also select the smoke check; the chart sets it for workloadIdentity" -}}
{{- end -}}
{{- range $where, $map := pick $annotations "commonAnnotations" "serviceAccount.annotations" "dashboards.annotations" -}}
  {{- range $key, $_ := $map -}}
    {{- if regexMatch "^(helm\\.sh|argocd\\.argoproj\\.io)/hook" $key -}}
      {{- $errors = append $errors (printf "invalid annotation %q in %s: it would turn objects of the release into hooks; expected it in smoke.annotations" $key $where) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- $prometheus := .Values.prometheusAnnotations -}}
{{- range $key, $_ := .Values.podAnnotations -}}
  {{- if or (eq $key "acr-verifier/start-settings") (and $prometheus (has $key (list "prometheus.io/scrape" "prometheus.io/path" "prometheus.io/port"))) -}}
    {{- $errors = append $errors (printf "invalid annotation %q in podAnnotations: duplicate key; the chart sets it" $key) -}}
  {{- end -}}
{{- end -}}
{{- $errors | toJson -}}
{{- end -}}

{{/* Volumes, mounts and variables that collide with the chart's own or with each other. */}}
{{- define "acr-verifier.validateVolumes" -}}
{{- $errors := list -}}
{{- $taken := fromJsonArray (include "acr-verifier.volumeNames" .) -}}
{{- $names := list -}}
{{- range $index, $volume := .Values.extraVolumes -}}
  {{- if has .name $taken -}}
    {{- $errors = append $errors (printf "invalid value %q for extraVolumes[%d].name: the chart has a volume of this name; expected another name" .name $index) -}}
  {{- else if has .name $names -}}
    {{- $errors = append $errors (printf "invalid value %q for extraVolumes[%d].name: duplicate name; expected a unique one" .name $index) -}}
  {{- end -}}
  {{- $names = append $names .name -}}
{{- end -}}
{{- $own := dict "/acr-verifier" "of the chart" "/etc/acr-verifier" "of the chart" "/var/run/secrets/kubernetes.io/serviceaccount" "of the chart" (include "acr-verifier.keyFolder" .) "of the chart" -}}
{{- range fromJsonArray (include "acr-verifier.secretNames" .) }}{{- $_ := set $own (include "acr-verifier.credentialsPath" .) "of the chart" -}}{{- end -}}
{{- if eq (include "acr-verifier.nodeFiles" .) "true" }}{{- $_ := set $own "/host" "of the chart" -}}{{- end -}}
{{- range list "/etc/resolv.conf" "/etc/hosts" "/etc/hostname" }}{{- $_ := set $own . "of the kubelet" -}}{{- end -}}
{{- range list "/proc" "/sys" "/dev" }}{{- $_ := set $own . "of the container runtime" -}}{{- end -}}
{{- $_ := set $own "/etc/ssl/certs" "of the image, which config.tls adds to" -}}
{{- $paths := list -}}
{{- range $index, $mount := .Values.extraVolumeMounts -}}
  {{- $path := clean .mountPath -}}
  {{- $covered := list -}}
  {{- range $place, $owner := $own -}}
    {{- if or (hasPrefix (printf "%s/" $place) (printf "%s/" $path)) (hasPrefix (printf "%s/" (trimSuffix "/" $path)) (printf "%s/" $place)) }}{{- $covered = append $covered (printf "%s %s" $place $owner) -}}{{- end -}}
  {{- end -}}
  {{- if $covered -}}
    {{- $errors = append $errors (printf "invalid value %q for extraVolumeMounts[%d].mountPath: it would cover %s; expected another path, such as /mnt/acr" $mount.mountPath $index (join ", " $covered)) -}}
  {{- end -}}
  {{- if has $path $paths -}}
    {{- $errors = append $errors (printf "invalid value %q for extraVolumeMounts[%d].mountPath: duplicate path; expected a unique one" .mountPath $index) -}}
  {{- end -}}
  {{- $paths = append $paths $path -}}
  {{- if not (has .name $names) -}}
    {{- $errors = append $errors (printf "invalid value %q for extraVolumeMounts[%d].name: no such volume; expected the name of one in extraVolumes" .name $index) -}}
  {{- end -}}
{{- end -}}
{{- $nodePaths := list -}}
{{- range $index, $node := .Values.nodeFiles.paths -}}
  {{- if has .path $nodePaths -}}
    {{- $errors = append $errors (printf "invalid value %q for nodeFiles.paths[%d].path: duplicate path; expected a unique one" .path $index) -}}
  {{- end -}}
  {{- $nodePaths = append $nodePaths .path -}}
{{- end -}}
{{- $variables := list -}}
{{- range fromYamlArray (include "acr-verifier.variables" .) }}{{- $variables = append $variables .name -}}{{- end -}}
{{- $roots := list "SSL_CERT_FILE" "SSL_CERT_DIR" "ACR_VERIFIER_BUNDLED_ROOTS" -}}
{{- $set := list -}}
{{- range $index, $variable := .Values.extraEnv -}}
  {{- if has .name $variables -}}
    {{- $errors = append $errors (printf "invalid value %q for extraEnv[%d].name: the chart sets this variable; expected another one" .name $index) -}}
  {{- else if has .name $roots -}}
    {{- $errors = append $errors (printf "invalid value %q for extraEnv[%d].name: it replaces the trusted certificates; expected config.tls, which adds to them" .name $index) -}}
  {{- else if has .name $set -}}
    {{- $errors = append $errors (printf "invalid value %q for extraEnv[%d].name: duplicate variable; expected a unique one" .name $index) -}}
  {{- else if and (hasKey . "value") (hasKey . "valueFrom") -}}
    {{- $errors = append $errors (printf "extraEnv[%d]: value cannot be used with valueFrom" $index) -}}
  {{- end -}}
  {{- $set = append $set .name -}}
{{- end -}}
{{- $errors | toJson -}}
{{- end -}}

{{/* Security contexts weaker than what the chart guarantees. */}}
{{- define "acr-verifier.validateContexts" -}}
{{- $errors := list -}}
{{- range $where, $context := dict "podSecurityContext" .Values.podSecurityContext "securityContext" .Values.securityContext -}}
  {{- range $key, $value := $context -}}
    {{- if has $key (list "runAsUser" "runAsGroup" "fsGroup") -}}
      {{- if eq (int64 $value) 0 -}}
        {{- $errors = append $errors (printf "invalid value 0 for %s.%s: agents and smoke check do not run as root; expected an ID from 1" $where $key) -}}
      {{- end -}}
    {{- else if eq $key "supplementalGroups" -}}
      {{- range $value -}}
        {{- if eq (int64 .) 0 -}}
          {{- $errors = append $errors (printf "invalid value 0 for %s.%s: it permits what only root's group may read; expected IDs from 1" $where $key) -}}
        {{- end -}}
      {{- end -}}
    {{- else if has $key (list "seccompProfile" "appArmorProfile") -}}
      {{- if eq (toString $value.type) "Unconfined" -}}
        {{- $errors = append $errors (printf "invalid value \"Unconfined\" for %s.%s.type: it weakens what the chart guarantees; expected RuntimeDefault or Localhost" $where $key) -}}
      {{- else if and (eq $value.type "Localhost") (not $value.localhostProfile) -}}
        {{- $errors = append $errors (printf "%s.%s.localhostProfile: required for type Localhost; expected the name of a profile on the nodes" $where $key) -}}
      {{- else if and (ne $value.type "Localhost") $value.localhostProfile -}}
        {{- $errors = append $errors (printf "invalid value %q for %s.%s.localhostProfile: cannot be used with type %s; expected type: Localhost" $value.localhostProfile $where $key $value.type) -}}
      {{- end -}}
    {{- else if has $key (list "runAsNonRoot" "readOnlyRootFilesystem") -}}
      {{- if not $value -}}
        {{- $errors = append $errors (printf "invalid value false for %s.%s: it weakens what the chart guarantees; expected true" $where $key) -}}
      {{- end -}}
    {{- else if has $key (list "allowPrivilegeEscalation" "privileged") -}}
      {{- if $value -}}
        {{- $errors = append $errors (printf "invalid value true for %s.%s: it weakens what the chart guarantees; expected false" $where $key) -}}
      {{- end -}}
    {{- else if eq $key "capabilities" -}}
      {{- if or $value.add (and (hasKey $value "drop") (not (has "ALL" (default list $value.drop)))) -}}
        {{- $errors = append $errors (printf "invalid value for %s.capabilities: the agent needs no capability; expected drop: [ALL]" $where) -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- $errors | toJson -}}
{{- end -}}

{{/* Updates, nodes, and DNS settings that contradict how the agents run. */}}
{{- define "acr-verifier.validatePods" -}}
{{- $errors := list -}}
{{- $update := .Values.updateStrategy -}}
{{- $unavailable := ne (toString $update.maxUnavailable) "0" -}}
{{- if and (eq $update.type "RollingUpdate") (not $unavailable) (not $update.maxSurge) -}}
  {{- $errors = append $errors "invalid value 0 for updateStrategy.maxUnavailable: no agent could be replaced; expected a number from 1, a percentage, or maxSurge" -}}
{{- end -}}
{{- if $update.maxSurge -}}
  {{- if .Values.hostNetwork -}}
    {{- $errors = append $errors (printf "updateStrategy.maxSurge cannot be used with hostNetwork: the old and the new agent of a node would both listen on port %d" (int .Values.port)) -}}
  {{- end -}}
  {{- if ne $update.type "RollingUpdate" -}}
    {{- $errors = append $errors (printf "updateStrategy.maxSurge cannot be used with type %s" $update.type) -}}
  {{- else if $unavailable -}}
    {{- $errors = append $errors (printf "updateStrategy.maxSurge cannot be used with maxUnavailable %v: Kubernetes accepts only one of them; expected maxUnavailable: 0" $update.maxUnavailable) -}}
  {{- end -}}
{{- end -}}
{{- range $prefix, $pod := dict "" .Values "smoke." .Values.smoke -}}
  {{- range $key := list "kubernetes.io/os" "beta.kubernetes.io/os" -}}
    {{- $system := get (default dict $pod.nodeSelector) $key -}}
    {{- if and $system (ne $system "linux") -}}
      {{- $errors = append $errors (printf "invalid value %q for %s in %snodeSelector: the program runs on Linux only" $system $key $prefix) -}}
    {{- end -}}
  {{- end -}}
  {{- range ((($pod.affinity).nodeAffinity).requiredDuringSchedulingIgnoredDuringExecution).nodeSelectorTerms -}}
    {{- range .matchExpressions -}}
      {{- $linux := has "linux" (default list .values) -}}
      {{- if and (has .key (list "kubernetes.io/os" "beta.kubernetes.io/os")) (or (eq .operator "DoesNotExist") (and (eq .operator "In") (not $linux)) (and (eq .operator "NotIn") $linux)) -}}
        {{- $errors = append $errors (printf "invalid expression \"%s %s %v\" in %saffinity: the program runs on Linux only; expected it to match linux" .key .operator (default list .values) $prefix) -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
  {{- $limits := default dict $pod.resources.limits -}}
  {{- range $name, $request := $pod.resources.requests -}}
    {{- if hasKey $limits $name -}}
      {{- $limit := get $limits $name -}}
      {{- if gt (float64 (include "acr-verifier.quantity" $request)) (float64 (include "acr-verifier.quantity" $limit)) -}}
        {{- $errors = append $errors (printf "invalid value \"%v\" for %sresources.requests.%s: above the limit; expected at most %v" $request $prefix $name $limit) -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- if (.Values.dnsConfig).nameservers -}}
  {{- $errors = append $errors "dnsConfig.nameservers: the check must query the node's own nameservers, as containerd does; expected config.resolvers.compare for others" -}}
{{- end -}}
{{- $checked := list -}}
{{- range .Values.config.images -}}
  {{- $checked = append $checked (include "acr-verifier.registryOf" .image | splitList ":" | first) -}}
  {{- range .dataEndpoints }}{{- $checked = append $checked (lower .) -}}{{- end -}}
{{- end -}}
{{- range $index, $alias := .Values.hostAliases -}}
  {{- if not (regexMatch (include "acr-verifier.form" "ip") .ip) -}}
    {{- $errors = append $errors (printf "invalid value %q for hostAliases[%d].ip: expected an IP address such as 10.60.0.4" .ip $index) -}}
  {{- end -}}
  {{- range .hostnames -}}
    {{- if has (lower .) $checked -}}
      {{- $errors = append $errors (printf "invalid value %q for hostAliases[%d].hostnames: a check resolves registries only by DNS; expected other names" . $index) -}}
    {{- else if not (regexMatch (include "acr-verifier.form" "alias") .) -}}
      {{- $errors = append $errors (printf "invalid value %q for hostAliases[%d].hostnames: expected a host name in lower case, such as api.contoso.internal" . $index) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- $errors | toJson -}}
{{- end -}}

{{/* Where the agents listen, and who triggers checks. */}}
{{- define "acr-verifier.validateServer" -}}
{{- $errors := list -}}
{{- $server := default dict .Values.config.server -}}
{{- $checks := include "acr-verifier.checksOnDemand" . -}}
{{- with $server.address -}}
  {{- if not (hasSuffix (printf ":%d" (int $.Values.port)) .) -}}
    {{- $errors = append $errors (printf "invalid value %q for config.server.address: expected the same port as `port`, %d" . (int $.Values.port)) -}}
  {{- end -}}
  {{- if and (hasPrefix "node:" .) (not $.Values.hostNetwork) -}}
    {{- $errors = append $errors (printf "invalid value %q for config.server.address: on the pod network no agent has an address of its node; expected hostNetwork: true, or 0.0.0.0:%d or [::]:%d" . (int $.Values.port) (int $.Values.port)) -}}
  {{- end -}}
{{- end -}}
{{- if and (eq $checks "key") (not $server.keySecret) -}}
  {{- $errors = append $errors "config.server.checksOnDemand key requires config.server.keySecret: expected the name of a Secret in the namespace of the release" -}}
{{- else if and $server.keySecret (ne $checks "key") -}}
  {{- $errors = append $errors (printf "config.server.keySecret cannot be used with checksOnDemand %s: expected checksOnDemand: key" $checks) -}}
{{- end -}}
{{- if and (eq $checks "disabled") .Values.smoke.enabled -}}
  {{- $schedule := .Values.config.schedule | default dict -}}
  {{- $interval := int64 (include "acr-verifier.milliseconds" ($schedule.interval | default "60s")) -}}
  {{- with $schedule.fleetSize -}}
    {{- /* At most nine requests for each image, all of one registry. */ -}}
    {{- $requests := mul (int64 .) 9 (len $.Values.config.images) -}}
    {{- $interval = max $interval (div (mul $requests 60000) (int64 ($schedule.budgetPerMinute | default 4000))) -}}
  {{- end -}}
  {{- $jitter := ternary $schedule.jitter 0.2 (hasKey $schedule "jitter") -}}
  {{- if ge (mulf $interval (addf 1 $jitter)) (float64 (include "acr-verifier.milliseconds" .Values.smoke.timeout)) -}}
    {{- $errors = append $errors (printf "config.server.checksOnDemand disabled cannot be used with smoke.timeout %s: the smoke check waits for a regular check on every node, and these are up to %d s apart; expected a longer timeout, or smoke.enabled: false" .Values.smoke.timeout (div (int64 (mulf $interval (addf 1 $jitter))) 1000)) -}}
  {{- end -}}
{{- end -}}
{{- $errors | toJson -}}
{{- end -}}

{{/* Scraping. */}}
{{- define "acr-verifier.validateScraping" -}}
{{- $errors := list -}}
{{- $monitor := .Values.podMonitor -}}
{{- $kinds := list -}}
{{- range $api, $value := dict "monitoring.coreos.com" $monitor.prometheusOperator "azmonitoring.coreos.com" $monitor.azureMonitor -}}
  {{- if eq "true" (include "acr-verifier.isWanted" (dict "root" $ "value" $value "api" (printf "%s/v1/PodMonitor" $api))) }}{{- $kinds = append $kinds $api -}}{{- end -}}
{{- end -}}
{{- if and .Values.prometheusAnnotations $kinds -}}
  {{- $errors = append $errors (printf "prometheusAnnotations cannot be used with a PodMonitor of %s: every sample would be scraped twice; expected podMonitor.prometheusOperator: false and podMonitor.azureMonitor: false" (join " and " $kinds)) -}}
{{- end -}}
{{- if $monitor.scrapeTimeout -}}
  {{- if gt (int64 (include "acr-verifier.milliseconds" $monitor.scrapeTimeout)) (int64 (include "acr-verifier.milliseconds" $monitor.interval)) -}}
    {{- $errors = append $errors (printf "invalid value %q for podMonitor.scrapeTimeout: Prometheus rejects a timeout above the interval; expected at most %s" $monitor.scrapeTimeout $monitor.interval) -}}
  {{- end -}}
{{- end -}}
{{- $errors | toJson -}}
{{- end -}}

{{/* What Prometheus would reject, in rules and in relabeling rules. */}}
{{- define "acr-verifier.validateRules" -}}
{{- $errors := list -}}
{{- if ne (include "acr-verifier.isRegex" .Values.rules.excludedNodes) "true" -}}
  {{- $errors = append $errors (printf "invalid value %q for rules.excludedNodes: expected an RE2 expression such as aks-gpu.+|virtual-.+" .Values.rules.excludedNodes) -}}
{{- end -}}
{{- range $key, $_ := .Values.rules.labels -}}
  {{- if not (regexMatch "^[A-Za-z_][A-Za-z0-9_]*$" $key) -}}
    {{- $errors = append $errors (printf "invalid label %q in rules.labels: expected letters, digits and underscores, such as team" $key) -}}
  {{- else if has $key (list "alertname" "severity") -}}
    {{- $errors = append $errors (printf "invalid label %q in rules.labels: the rules set it; expected rules.alerts.NAME.severity, or another label" $key) -}}
  {{- end -}}
{{- end -}}
{{- range $where := list "relabelings" "metricRelabelings" -}}
  {{- range $index, $rule := get $.Values.podMonitor $where | default list -}}
    {{- if ne (include "acr-verifier.isRegex" (default "" .regex)) "true" -}}
      {{- $errors = append $errors (printf "invalid value %q for podMonitor.%s[%d].regex: expected an RE2 expression" .regex $where $index) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- $errors | toJson -}}
{{- end -}}

{{/* The smoke check. */}}
{{- define "acr-verifier.validateSmoke" -}}
{{- $errors := list -}}
{{- $smoke := .Values.smoke -}}
{{- $hooks := dict "helm.sh/hook" (list "post-install" "post-upgrade" "post-rollback") "argocd.argoproj.io/hook" (list "PostSync") -}}
{{- if $smoke.enabled -}}
  {{- range $key, $value := $smoke.annotations -}}
    {{- if and (eq $smoke.mode "job") (hasKey $hooks $key) -}}
      {{- range splitList "," $value -}}
        {{- if not (has (trim .) (get $hooks $key)) -}}
          {{- $errors = append $errors (printf "invalid value %q for %s in smoke.annotations: the agents must be installed before the smoke check; expected %s" (trim .) $key (get $hooks $key | join ", ")) -}}
        {{- end -}}
      {{- end -}}
    {{- else if and (ne $smoke.mode "job") (regexMatch "^(helm\\.sh|argocd\\.argoproj\\.io)/hook" $key) -}}
      {{- $errors = append $errors (printf "invalid annotation %q in smoke.annotations: cannot be used with smoke.mode %s; expected smoke.mode: job" $key $smoke.mode) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- if not $smoke.serviceAccount.create -}}
  {{- if not $smoke.serviceAccount.name -}}
    {{- $errors = append $errors "smoke.serviceAccount.name: required without smoke.serviceAccount.create; expected the name of an existing account" -}}
  {{- end -}}
{{- end -}}
{{- if and $smoke.enabled (eq (include "acr-verifier.smokeAccount" .) (include "acr-verifier.serviceAccountName" .)) -}}
  {{- $errors = append $errors (printf "invalid value %q for smoke.serviceAccount.name: the agents have an account of this name; expected another name, because the smoke check may list nodes" (include "acr-verifier.smokeAccount" .)) -}}
{{- end -}}
{{- if ne (include "acr-verifier.isSchedule" $smoke.schedule) "true" -}}
  {{- $errors = append $errors (printf "invalid value %q for smoke.schedule: expected five fields of cron (minute 0-59, hour 0-23, day 1-31, month 1-12, weekday 0-6), such as 0 6 * * *" $smoke.schedule) -}}
{{- end -}}
{{- $errors | toJson -}}
{{- end -}}
