/* SPDX-License-Identifier: MIT */
/* Settings against params, as the extension itself compares them: the three Enable operations are one, URLs
 * are compared without a trailing slash and without case, VolumeType and DiskFormatQuery not at all. The
 * secret of the dual-pass version cannot be compared (only its digest is kept). */
#include <stdlib.h>
#include <string.h>

#include "rule/request.h"
#include "vm/ini.h"

const struct settings *newest_settings(const struct vm *vm)
{
	if (!vm->ext || !vm->ext->newest || vm->ext->newest->unreadable)
		return NULL;
	return vm->ext->newest;
}

bool op_is_enable(const char *op)
{
	return str_eq_nocase(op, "EnableEncryption") || str_eq_nocase(op, "EnableEncryptionFormat") ||
	       op_formats_all(op);
}

bool op_formats_all(const char *op)
{
	return str_eq_nocase(op, "EnableEncryptionFormatAll");
}

bool op_is_disable(const char *op)
{
	return str_eq_nocase(op, "DisableEncryption");
}

static const char *param(const struct vm *vm, const char *key)
{
	const char *v = ini_get(&vm->state.params.ini, key);

	return v && !str_eq(v, "None") ? v : "";
}

static size_t bare_length(const char *s)
{
	size_t n = strlen(s);

	while (n && s[n - 1] == '/')
		n--;
	return n;
}

static bool same_text(const char *a, const char *b)
{
	size_t na, nb;

	a = a ? a : "";
	b = b ? b : "";
	na = bare_length(a);
	nb = bare_length(b);
	return na == nb && strncasecmp(a, b, na) == 0;
}

static bool report(char **ret_what, const char *field, const char *old, const char *new)
{
	if (ret_what && !*ret_what)
		*ret_what = str_printf("%s: params '%s', newest settings '%s'", field, old, new ? new : "");
	return true;
}

static bool field_differs(const struct vm *vm, const char *key, const char *def, const char *now,
			  char **ret_what)
{
	const char *old = param(vm, key);

	if (!*old)
		old = def;
	if (!now || !*now)
		now = def;
	return !same_text(old, now) && report(ret_what, key, old, now);
}

static bool any_differs(const struct vm *vm, const struct settings *s, char **ret_what)
{
	const char *op = param(vm, "encryptionoperation");
	const char *store = param(vm, "keystoretype");

	if (!op_is_enable(op) && !str_eq_nocase(op, s->operation))
		return report(ret_what, "encryptionoperation", op, s->operation);
	if (field_differs(vm, "keyvaulturl", "", s->kv_url, ret_what) ||
	    field_differs(vm, "keyencryptionkeyurl", "", s->kek_url, ret_what) ||
	    field_differs(vm, "keyencryptionalgorithm", "RSA-OAEP", s->kek_alg, ret_what))
		return true;
	if (*store && s->keystore_type && *s->keystore_type && !same_text(store, s->keystore_type))
		return report(ret_what, "keystoretype", store, s->keystore_type);
	if (vm->ext->dual_pass)
		return field_differs(vm, "aadclientid", "", s->aad_client_id, ret_what) ||
		       field_differs(vm, "aadclientcertthumbprint", "", s->aad_thumbprint, ret_what);
	return field_differs(vm, "keyvaultresourceid", "", s->kv_id, ret_what) ||
	       field_differs(vm, "kekvaultresourceid", "", s->kek_kv_id, ret_what);
}

enum tri params_differ(const struct vm *vm, char **ret_what, char **why)
{
	enum tri there = params_there(vm, why);
	const struct settings *s = newest_settings(vm);

	if (there != TRI_YES)
		return there;
	if (vm->state.params.ini.empty) {
		if (ret_what && !*ret_what)
			*ret_what = str_printf(
				"azure_crypt_params.ini is empty, which differs from any settings");
		return TRI_YES;
	}
	if (!s) {
		if (vm->waagent == HAVE_UNKNOWN || (vm->ext && vm->ext->newest))
			return cannot_tell(why, "the newest settings of the extension could not be read");
		return TRI_NO;
	}
	if (!op_is_enable(s->operation))
		return TRI_NO;
	return any_differs(vm, s, ret_what) ? TRI_YES : TRI_NO;
}

int version_compare(const char *a, const char *b)
{
	while ((a && *a) || (b && *b)) {
		char *enda = NULL, *endb = NULL;
		unsigned long x = a && *a ? strtoul(a, &enda, 10) : 0;
		unsigned long y = b && *b ? strtoul(b, &endb, 10) : 0;

		if (x != y)
			return x < y ? -1 : 1;
		/* a part that is no number ends the comparison */
		if ((enda && enda == a) || (endb && endb == b))
			return 0;
		a = enda && *enda == '.' ? enda + 1 : NULL;
		b = endb && *endb == '.' ? endb + 1 : NULL;
	}
	return 0;
}

bool version_below(const struct vm *vm, const char *single_pass, const char *dual_pass)
{
	const char *limit;

	if (!vm->ext || !vm->ext->version)
		return false;
	limit = vm->ext->dual_pass ? dual_pass : single_pass;
	return limit && version_compare(vm->ext->version, limit) < 0;
}

bool online_distro(const struct vm *vm)
{
	static const char *const rpm[] = {"rhel", "centos", "ol", "almalinux", "rocky"};
	const char *id = vm->os.id;

	if (str_eq(id, "mariner") || str_eq(id, "azurelinux"))
		return true;
	if (str_eq(id, "ubuntu"))
		return version_compare(vm->os.version, "23.10") >= 0;
	for (size_t i = 0; i < sizeof(rpm) / sizeof(*rpm); i++)
		if (str_eq(id, rpm[i]))
			return version_compare(vm->os.version, "8") >= 0;
	return false;
}

enum tri request_was_run(const struct vm *vm, char **why)
{
	if (!vm->ext || !vm->ext->newest)
		return TRI_NO;
	if (vm->ext->mrseq_have == HAVE_UNKNOWN)
		return cannot_tell(why, "mrseq of the extension could not be read");
	return vm->ext->mrseq_have == HAVE_YES && vm->ext->mrseq == vm->ext->newest->seq ? TRI_YES : TRI_NO;
}

enum tri request_pending(const struct vm *vm, char **why)
{
	const struct settings *s;

	if (vm->waagent == HAVE_UNKNOWN)
		return cannot_tell(why, "/var/lib/waagent could not be looked at");
	if (!vm->ext)
		return vm->nexts ? cannot_tell(why, "which of the extension's directories is the live one "
						    "could not be told")
				 : TRI_NO;
	if (!vm->ext->newest)
		return TRI_NO;
	s = newest_settings(vm);
	if (!s)
		return cannot_tell(why, "the newest settings of the extension could not be read");
	return tri_not(request_was_run(vm, why));
}

bool config_secretseqnum(const struct vm *vm, uint64_t *ret)
{
	const char *s = NULL;

	if (vm->state.have == HAVE_YES && vm->state.config.have == HAVE_YES)
		s = ini_get(&vm->state.config.ini, "secretseqnum");
	return s && *s && str_to_u64(s, ret);
}

enum tri key_expected(const struct vm *vm)
{
	uint64_t seq;

	if (have_bek_key(vm))
		return TRI_YES;
	/* once stamped, Azure delivers the key at every start, though not to this machine */
	return config_secretseqnum(vm, &seq) || vm->state.have == HAVE_UNKNOWN ? TRI_UNKNOWN : TRI_NO;
}
